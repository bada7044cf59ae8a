"""Trouble with the stages of a session: how often a reply may be taken over, and what nobody can serve. Pure."""

from dataclasses import dataclass
from typing import Final

from natter_gateway.turns.events import AttemptKey
from natter_proto import Stage

MOST_TAKEOVERS: Final = 4
"""Of one stage for one reply; then the caller is told."""


@dataclass(frozen=True, slots=True)
class StageTrouble:
    """A stage that can't go on with its provider."""

    stage: Stage
    provider: str
    code: str
    words: str
    """For the caller: what happened, what to do."""
    lasting: bool
    """It does not pass by itself."""


class TroubleBook:
    """One session's."""

    def __init__(self) -> None:
        self._hopeless: dict[Stage, str] = {}
        self._takeovers: dict[Stage, tuple[AttemptKey | None, int]] = {}

    def note(self, trouble: StageTrouble, living: AttemptKey | None) -> bool:
        """Note a trouble while `living` is the reply; True when that reply was taken over often enough."""
        key, count = self._takeovers.get(trouble.stage, (None, 0))
        count = count + 1 if key == living else 1
        self._takeovers[trouble.stage] = (living, count)
        return count > MOST_TAKEOVERS

    def hopeless(self, stage: Stage, words: str) -> None:
        """Nobody can serve a stage."""
        self._hopeless[stage] = words

    def served(self, stage: Stage) -> None:
        """Somebody serves it (again)."""
        self._hopeless.pop(stage, None)

    def words(self, stage: Stage) -> str | None:
        """Why nobody can serve a stage; None when somebody can, or may."""
        return self._hopeless.get(stage)
