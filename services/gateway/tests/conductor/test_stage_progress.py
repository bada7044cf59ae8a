"""Workers that live and do not go on, in virtual time."""

from natter_gateway.conductor.stage_progress import HearingProgress, ReplyProgress
from natter_proto import MIC_RATE_HZ, Stage

VAD, STT, LLM, TTS = Stage.STAGE_VAD, Stage.STAGE_STT, Stage.STAGE_LLM, Stage.STAGE_TTS


def test_who_reads_behind_the_microphone_is_at_work() -> None:
    progress = HearingProgress()
    for second in range(10):
        reached, mic = second * MIC_RATE_HZ, (second + 3) * MIC_RATE_HZ
        assert not progress.stalls(VAD, 1, reached, mic), "it replays, and is far behind: but it moves"


def test_who_stands_while_the_microphone_goes_on_is_stuck() -> None:
    progress = HearingProgress()
    assert not progress.stalls(VAD, 1, 1_000, 1_000)
    assert not progress.stalls(VAD, 1, 1_000, 1_000 + MIC_RATE_HZ)
    assert progress.stalls(VAD, 1, 1_000, 1_001 + MIC_RATE_HZ)
    assert not progress.stalls(VAD, 2, 1_000, 1_001 + MIC_RATE_HZ), "another worker has its own time"


def test_nobody_is_stuck_while_the_microphone_is_silent() -> None:
    progress = HearingProgress()
    assert not any(progress.stalls(STT, 1, 1_000, 1_000) for _ in range(100))
    assert not progress.stalls(LLM, 1, 0, 10 * MIC_RATE_HZ)


def test_a_model_without_its_first_word_is_stuck_later_than_one_that_stops() -> None:
    progress = ReplyProgress()
    progress.asked(LLM, 0.0)
    assert progress.overdue(6_999.0) is None
    progress.moved(LLM, 6_999.0)
    assert progress.overdue(11_998.0) is None
    assert progress.due_ms == 11_999.0
    assert progress.overdue(11_999.0) is LLM
    assert progress.overdue(16_998.0) is None
    assert progress.overdue(16_999.0) is LLM, "nothing came of it"


def test_asking_again_gives_no_more_time_and_what_is_done_is_not_waited_for() -> None:
    progress = ReplyProgress()
    progress.asked(TTS, 0.0)
    progress.asked(TTS, 2_000.0)
    assert progress.due_ms == 5_000.0
    progress.done(TTS)
    assert progress.due_ms is None
    assert progress.overdue(10_000.0) is None


def test_who_was_cut_off_has_time_to_catch_up() -> None:
    progress = HearingProgress()
    assert not progress.stalls(STT, 1, 1_000, 1_000)
    progress.catches_up(STT)
    later = 1_000 + 5 * MIC_RATE_HZ
    assert not progress.stalls(STT, 1, 1_000, later)
    assert not progress.stalls(STT, 1, 1_000, later + 2 * MIC_RATE_HZ)
    assert progress.stalls(STT, 1, 1_000, later + 2 * MIC_RATE_HZ + 1)
