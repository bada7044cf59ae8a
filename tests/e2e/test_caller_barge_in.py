"""A headless caller interrupts: what was being said falls silent for good, and the interruption is answered."""

import time
from typing import Any

from natter_bench.call import open_tap
from natter_bench.caller import Caller
from natter_bench.measure import MISSED_TURN_S, end_of_speech, first_sample, interruption
from natter_bench.speech import INTERRUPTION, LONG_QUESTIONS, say

WITHIN_S = 3 * MISSED_TURN_S
WORDS_HEARD = 4
"""Over a second."""


async def test_an_interrupted_reply_is_never_heard_again(natter: Any) -> None:
    question, stop = say(LONG_QUESTIONS[0]), say(INTERRUPTION)
    async with open_tap(natter.services["nats"]["url"], "main") as tap:
        assert tap is not None
        async with Caller.connect(natter.url, bot="talker", on_session=tap.listen) as caller:
            interrupting = await caller.prepare(stop.pcm, stop.rate_hz)
            await caller.say(question)
            said_s = time.monotonic()
            # So many words have been heard that the reply stands, and many are still to come. Before that the caller
            # would go on with the question.
            heard_words = lambda: caller.recording.of_type("bot-tts-text", after_s=said_s)  # noqa: E731
            assert await caller.wait_until(lambda: len(heard_words()) >= WORDS_HEARD, WITHIN_S)
            onset_s = time.monotonic()
            await caller.say(interrupting)
            assert await caller.wait_for("bot-interrupted", after_s=onset_s, within_s=WITHIN_S)
            stopped_s = time.monotonic()
            assert await caller.wait_for("bot-tts-text", after_s=stopped_s, within_s=WITHIN_S)
            end_s = time.monotonic()
    sent, frames = caller.recording.sent, caller.recording.frames()
    heard = interruption(sent, frames, after_s=onset_s, before_s=end_s)
    assert heard is not None
    assert heard.last_audible_s is not None
    assert heard.silenced
    # Silenced by the onset, not by the end of what the caller had to say.
    stopped_speaking_s = end_of_speech(sent, after_s=onset_s, before_s=end_s)
    assert stopped_speaking_s is not None
    assert heard.last_audible_s < stopped_speaking_s
    # What is heard next was made for the next turn: nothing of the dead one is left over.
    old = tap.segments(before_s=onset_s)[-1]
    new = next(one for one in tap.segments(after_s=onset_s) if one.turn > old.turn)
    next_s = first_sample(frames, after_s=heard.last_audible_s)
    assert next_s is not None
    assert next_s > new.began_s
