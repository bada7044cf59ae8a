"""What a conductor does first where another one left off: its gateway died, and the caller is here again."""

from typing import Final

from natter_gateway.conductor.conductor import Conductor
from natter_gateway.conductor.page import Page
from natter_gateway.journal.recovery import AnswerAgain, Apologize, Recovered, SayAgain
from natter_gateway.turns.events import Modality

_ASK_AGAIN: Final = "Sorry, we were cut off. Please ask me again."


def go_on(recovered: Recovered, conductor: Conductor, page: Page) -> None:
    """Close what was cut off, and give the caller what is owed; words of a turn that was open are that turn."""
    if recovered.cut_off:
        page.cut_off()
    words = recovered.snapshot.words
    match recovered.owed:
        case AnswerAgain(text):
            conductor.answer_again(f"{text} {words}".strip())
        case _ if words:
            conductor.typed(words, Modality.VOICE, run_immediately=True)
        case SayAgain(text):
            conductor.say(text)
        case Apologize():
            conductor.say(_ASK_AGAIN)
        case None:
            pass
