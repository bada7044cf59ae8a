"""What a case keeps of a call that has several."""

import numpy as np

from natter_bench.recording import Message, ReceivedPacket, Recording, SentFrame
from natter_bench.talk.cases import chosen
from natter_bench.talk.observer import Asked, Observed
from natter_bench.talk.player import Played, apart


def test_each_case_has_what_was_from_the_end_of_the_one_before() -> None:
    recording = Recording(
        [SentFrame(second, -90.0) for second in (1.0, 2.0, 3.0)],
        [ReceivedPacket(second, 1, 1, b"") for second in (0.5, 1.5, 2.5)],
        [Message(second, "bot-interrupted", None) for second in (1.9, 2.1)],
    )
    observed = Observed(
        held=[(1.2, True), (2.2, True), (2.3, False)],
        asked=[Asked(2.4, (2, 1), "hello", verbatim=False, heard_before="")],
        committed={(1, 1): 0.1, (2, 1): 2.4},
    )
    microphone = [np.full(480, number, dtype=np.int16) for number in range(3)]
    first, second = apart(
        [Played(case, ended_s=end_s) for case, end_s in zip(chosen(None, "echo-0")[:2], (2.0, 3.0), strict=True)],
        recording,
        observed,
        microphone,
    )
    assert [frame.time_s for frame in first.recording.sent] == [1.0]
    assert [frame.time_s for frame in second.recording.sent] == [2.0, 3.0]
    assert [int(pcm[0]) for pcm in second.sent] == [1, 2]
    assert [packet.time_s for packet in second.recording.packets] == [2.5]
    assert [message.time_s for message in first.recording.messages] == [1.9]
    assert first.observed.held == [(1.2, True)]
    assert second.observed.committed == {(2, 1): 2.4}
    assert len(second.observed.asked) == 1
