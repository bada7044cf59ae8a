"""One call of the latency bench: utterances that are heard out, then replies that are interrupted."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from natter_bench.caller import Caller
from natter_bench.conversation import Exchange, exchange, hear_greeting, interrupt
from natter_bench.errors import CallError
from natter_bench.speech import EncodedSpeech

PAUSE_S: Final = (0.5, 1.2)
"""Between a reply's end and the next utterance: it varies, and with it where in 20 ms and in 32 ms speech ends."""
INTERRUPT_AFTER_S: Final = (0.6, 1.5)
"""From the first sound of a reply to the interruption."""
_TRIES_PER_BARGE_IN: Final = 2
_GREETING_WITHIN_S: Final = 1.0
_GIVEN_UP_AFTER: Final = 3

Say = Callable[[str], object]
"""Takes a line of text for whoever waits."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is said, as it is sent. The same for every system."""

    heard_out: Sequence[EncodedSpeech]
    replies: Sequence[str]
    """To each of them."""
    interrupted: Sequence[EncodedSpeech]
    """Utterances whose replies are interrupted."""
    interruption: EncodedSpeech
    seed: int = 1
    """Of the pauses."""


async def converse(caller: Caller, plan: Plan, say: Say) -> tuple[list[Exchange], list[Exchange]]:
    """Talk; gives the exchanges that were heard out, and those of the interruptions.

    A reply that did not come or was over too soon to be interrupted is tried once more, with the next utterance. Raises
    CallError when none of the first replies comes.
    """
    # Not for secrets: the same pauses for every system, and in every run.
    chance = random.Random(plan.seed)
    await hear_greeting(caller, within_s=_GREETING_WITHIN_S)
    exchanges: list[Exchange] = []
    for number, speech in enumerate(plan.heard_out, 1):
        say(f"  turn {number} of {len(plan.heard_out)}\n")
        exchanges.append(await exchange(caller, speech, pause_s=chance.uniform(*PAUSE_S)))
        if number == _GIVEN_UP_AFTER and caller.last_audible_s < exchanges[0].began_s:
            told = "; ".join(dict.fromkeys(str(one.data) for one in caller.recording.of_type("error")))
            raise CallError(f"nothing answered {number} utterances in a row ({told or 'and no error was told'})")
    barge_ins: list[Exchange] = []
    for tried in range(len(plan.interrupted) * _TRIES_PER_BARGE_IN):
        if len(barge_ins) == len(plan.interrupted):
            break
        say(f"  interruption {len(barge_ins) + 1} of {len(plan.interrupted)}\n")
        question = plan.interrupted[tried % len(plan.interrupted)]
        after_s = chance.uniform(*INTERRUPT_AFTER_S)
        found = await interrupt(caller, question, plan.interruption, after_voice_s=after_s)
        if found is not None:
            barge_ins.append(found)
    return exchanges, barge_ins
