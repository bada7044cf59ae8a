"""A caller whose microphone mixes live, and hears its own loudspeaker when it is told to."""

from __future__ import annotations

from natter_bench.caller import Caller, Network
from natter_bench.opus import Decoder, OpusError
from natter_bench.recording import VOICE_HZ, ReceivedPacket
from natter_bench.talk.live_microphone import LiveMicrophone


class TalkCaller(Caller):
    """Connect as with `Caller`; speak with `live.speak`."""

    def __init__(self, network: Network) -> None:
        super().__init__(network)
        self.live = LiveMicrophone()
        self.microphone = self.live
        self._loudspeaker = Decoder(VOICE_HZ)

    def _on_received(self, packet: ReceivedPacket) -> None:
        super()._on_received(packet)
        try:
            self.live.loudspeaker(self._loudspeaker.decode(packet.payload), packet.time_s)
        except OpusError:
            # The recording counts what can't be decoded.
            return
