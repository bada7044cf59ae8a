"""Whether frames of a worker are missing: each subject's frames of a lease are numbered from 1. Pure."""

from natter_proto import Header


class FrameSequence:
    """Of all subjects of one stage. A lease begins anew."""

    def __init__(self) -> None:
        self._lease = (0, 0)
        self._last: dict[str, int] = {}

    def lacks(self, kind: str, header: Header) -> bool:
        """A frame came; whether others before it did not. Frames without a number say nothing."""
        lease = (header.term, header.epoch)
        if lease != self._lease:
            self._lease = lease
            self._last.clear()
        last = self._last.get(kind, 0)
        self._last[kind] = max(last, header.number)
        return header.number > last + 1
