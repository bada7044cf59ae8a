"""The way to sessions that other gateways hold."""

import hmac
from enum import StrEnum
from typing import Final

from natter_common.link import NatsLink, NoAnswerError
from natter_proto import Ask, AskSignal, AskSignalAnswer, BadFrameError, BadTokenError, Header, RealmSubjects, token

_ANSWER_S: Final = 4.0
"""A connection takes its time to be set up; who is frozen takes longer."""


class Asked(StrEnum):
    """What one gateway asks another: `AskSignal.method`."""

    OFFER = "offer"
    CANDIDATES = "candidates"
    TRANSCRIPT = "transcript"


class Elsewhere:
    """Asks the gateway that holds a session."""

    def __init__(self, link: NatsLink, subjects: RealmSubjects) -> None:
        self._link = link
        self._subjects = subjects

    async def ask(self, public_id: str, method: str, body: str) -> AskSignalAnswer | None:
        """The owner's answer; None where nobody holds the session, or the owner does not answer: it is taken for dead.

        Raises `LinkDownError`.
        """
        session, _, secret = public_id.partition(".")
        try:
            subject = self._subjects.session(token(session)).ask(Ask.SIGNAL)
        except BadTokenError:
            return None
        question = AskSignal(header=Header(session=session), secret=secret, method=method, body=body)
        try:
            answer = await self._link.request(subject, question, AskSignalAnswer, _ANSWER_S)
        except (NoAnswerError, BadFrameError):
            return None
        return answer if answer.status else None


def knows_secret(secret: str, ask: AskSignal) -> bool:
    """Whether whoever asked has the session's whole id. Takes the same time wherever they differ."""
    return hmac.compare_digest(secret.encode(), ask.secret.encode())
