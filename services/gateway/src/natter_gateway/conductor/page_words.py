"""How much a page may say before anything comes of it: it is code from outside, and nobody types that fast. Pure."""

from typing import Final

MOST_WAITING_CHARACTERS: Final = 32_000
MOST_PUT_A_TURN: Final = 16


class TooMuchTextError(ValueError):
    """A page says more than anybody types."""


class PageWords:
    """Of one session."""

    def __init__(self) -> None:
        self._turn = 0
        self._put = 0

    def types(self, text: str, waiting: str) -> None:
        """Text is typed, while `waiting` is in no turn yet. Raises `TooMuchTextError`."""
        if len(waiting) + len(text) > MOST_WAITING_CHARACTERS:
            raise TooMuchTextError(f"{MOST_WAITING_CHARACTERS} characters are the most that may wait for their turn")

    def puts(self, turn: int) -> None:
        """A text is put into the bot's mouth in a turn. Raises `TooMuchTextError`."""
        self._turn, self._put = turn, self._put + 1 if turn == self._turn else 1
        if self._put > MOST_PUT_A_TURN:
            raise TooMuchTextError(f"{MOST_PUT_A_TURN} texts of the bot's are the most in one turn")
