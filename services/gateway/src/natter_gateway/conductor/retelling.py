"""What a client that knows of nothing is told of the turn that goes on. What is over, it reads in the transcript."""

from natter_gateway.conductor.page import Page
from natter_gateway.conductor.reply_side import ReplySide
from natter_gateway.context import Speaker
from natter_gateway.turns.machine import TurnMachine


class Retelling:
    """Of one session, for each new client of its caller."""

    def __init__(self, machine: TurnMachine, reply: ReplySide, page: Page) -> None:
        self._machine = machine
        self._reply = reply
        self._page = page

    @property
    def first_turn(self) -> int:
        """The first turn that a client hears of which is ready now: the one that goes on, else the next."""
        machine = self._machine
        if machine.living is not None:
            return machine.living[0]
        return machine.turn if machine.words_of_open_turn is not None else machine.turn + 1

    def tell(self) -> None:
        """Tell of the turn that goes on as if it came now, as far as it has come."""
        words = self._machine.words_of_open_turn
        if words is not None:
            self._tell_words(*words)
        living = self._machine.living
        if living is None:
            return
        entries = self._reply.context.utterances
        said = [each.text for each in entries if each.turn == living[0] and each.speaker is Speaker.USER]
        if said:
            self._tell_words(said)
            self._page.user_stopped()
            self._page.user_message(" ".join(said))
        self._page.reply_again()
        for record in self._reply.tools_done:
            self._page.tool_started(record.name)
            self._page.tool_stopped(record)
        for notice in self._reply.voice.so_far():
            self._page.reply_news(notice)

    def _tell_words(self, finals: list[str], interim: str = "") -> None:
        self._page.user_started()
        for text in finals:
            self._page.user_text(text, final=True)
        if interim:
            self._page.user_text(interim, final=False)
