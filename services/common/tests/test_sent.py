"""What was sent of late is kept within bounds, and found again by what somebody has."""

from natter_common.worker.sent import KEPT_BYTES, KEPT_S, SentFrame, SentFrames


def send(frames: SentFrames, kind: str, at_s: float = 0.0, size: int = 1) -> SentFrame:
    sent = SentFrame(at_s, kind, frames.next_number(kind), f"s.{kind}", bytes(size))
    frames.add(sent)
    return sent


def test_each_subject_is_numbered_from_one() -> None:
    frames = SentFrames()
    assert [send(frames, kind).number for kind in ("reply", "reply", "tool")] == [1, 2, 1]
    assert frames.newest == {"reply": 2, "tool": 1}


def test_what_is_behind_what_somebody_has_is_found_in_its_order() -> None:
    frames = SentFrames()
    sent = [send(frames, kind) for kind in ("reply", "tool", "reply", "tool")]
    assert frames.since({}) == (sent, True)
    assert frames.since({"reply": 1}) == (sent[1:], True)
    assert frames.since({"reply": 2, "tool": 2}) == ([], True)


def test_what_is_too_old_is_said_to_be_gone_to_who_lacks_it() -> None:
    frames = SentFrames()
    send(frames, "reply", 0.0)
    newer = send(frames, "reply", KEPT_S + 1)
    assert frames.since({}) == ([newer], False)
    assert frames.since({"reply": 1}) == ([newer], True)


def test_what_is_too_much_goes_from_its_old_end() -> None:
    frames = SentFrames()
    send(frames, "voice", size=KEPT_BYTES)
    newer = send(frames, "voice", size=KEPT_BYTES // 2)
    assert frames.since({"voice": 1}) == ([newer], True)
    assert frames.since({}) == ([newer], False)
