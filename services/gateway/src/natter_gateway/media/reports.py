"""What RTCP receiver reports say: reception as we tell it to the sender, and loss as the receiver tells it to us.

Sources: RFC 3550 section 6.4.1 (fields), appendix A.3 (loss) and A.8 (jitter).
"""

_MAX_LOST = 0x7FFFFF
_RELEASE = 0.8
"""What of the estimated loss is left after each report (they come about once a second) that shows less."""


class ReceptionStatistics:
    """Counts one source's packets for the reports about it.

    Has the members that aiortc reads when it makes a report (`fraction_lost`, `packets_lost`, `max_seq`, `jitter`,
    `packets_received`). All are kept within the width of their field, whatever the source sends.
    """

    def __init__(self, clock_rate_hz: int = 48_000) -> None:
        self.packets_received = 0
        self._clock_rate_hz = clock_rate_hz
        self._base = 0
        self._highest = 0
        self._expected_prior = 0
        self._received_prior = 0
        self._transit: int | None = None
        self._jitter_q4 = 0

    def add(self, sequence_number: int, timestamp: int, arrival_s: float) -> None:
        """Count a packet that arrived at `arrival_s` (any monotonic clock)."""
        if self.packets_received == 0:
            self._base = self._highest = sequence_number
        self.packets_received += 1
        step = (sequence_number - self._highest) & 0xFFFF
        if 0 < step < 0x8000:
            self._highest += step
        transit = (int(arrival_s * self._clock_rate_hz) - timestamp) & 0xFFFFFFFF
        if self._transit is not None:
            change = (transit - self._transit) & 0xFFFFFFFF
            if change >= 0x80000000:
                change = 0x100000000 - change
            if change < self._clock_rate_hz:  # more is a jump of the timestamps, not of the network
                self._jitter_q4 += change - ((self._jitter_q4 + 8) >> 4)
        self._transit = transit

    @property
    def max_seq(self) -> int:
        """Extended highest sequence number received, 32 bits."""
        return self._highest & 0xFFFFFFFF

    @property
    def packets_expected(self) -> int:
        """So many should have come: from the first to the highest number."""
        return self._highest - self._base + 1 if self.packets_received else 0

    @property
    def packets_lost(self) -> int:
        """Lost since the start, in 24 bits; duplicates make it smaller, even negative."""
        return max(-_MAX_LOST - 1, min(self.packets_expected - self.packets_received, _MAX_LOST))

    @property
    def fraction_lost(self) -> int:
        """Loss since this was last read, in 1/256: each report reads it once."""
        expected = self.packets_expected - self._expected_prior
        lost = expected - (self.packets_received - self._received_prior)
        self._expected_prior = self.packets_expected
        self._received_prior = self.packets_received
        if expected <= 0 or lost <= 0:
            return 0
        return min(255, (lost << 8) // expected)

    @property
    def jitter(self) -> int:
        """Interarrival jitter in timestamp units."""
        return min(self._jitter_q4 >> 4, 0xFFFFFFFF)


class LossEstimate:
    """Loss in whole percent from the fractions in receiver reports: rises at once, falls slowly.

    Loss comes in bursts, so what was seen a few seconds ago still counts; a report covers about 50 packets, so one lost
    packet shows as 2 %.
    """

    def __init__(self) -> None:
        self._percent = 0.0

    def add(self, fraction_lost: int) -> int:
        """Take a report's field (0–255) and return the percentage to encode for."""
        seen = fraction_lost * 100 / 256
        decayed = self._percent * _RELEASE
        self._percent = max(seen, decayed if decayed >= 0.5 else 0.0)
        return self.percent

    @property
    def percent(self) -> int:
        """The current estimate, rounded up."""
        return min(100, -int(-self._percent // 1))
