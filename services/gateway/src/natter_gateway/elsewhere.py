"""The way to sessions that other gateways hold."""

import asyncio
import hmac
from enum import StrEnum
from typing import Final

from natter_common.link import NatsLink, NoAnswerError
from natter_proto import Ask, AskSignal, AskSignalAnswer, BadFrameError, BadTokenError, Header, RealmSubjects, token

_ANSWER_S: Final = 12.0
"""A connection takes its time to be set up: an owner gives it up after 10 s."""
_PATIENCE_S: Final = 3.0
_PING_S: Final = 1.0
"""Whoever owes an answer for longer than `_PATIENCE_S` is asked whether it is there, and says so at once; who is frozen
does not."""


class OwnerSilentError(ConnectionError):
    """Whoever holds the session says nothing at all: it is frozen."""


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
        """The owner's answer; None where nobody holds the session, or its owner leaves it to whoever asks.

        Raises `OwnerSilentError`, `LinkDownError`, and `TimeoutError` where the owner is there and does not get done.
        """
        session, _, secret = public_id.partition(".")
        try:
            subject = self._subjects.session(token(session)).ask(Ask.SIGNAL)
        except BadTokenError:
            return None
        question = AskSignal(header=Header(session=session), secret=secret, method=method, body=body)
        asking = asyncio.create_task(
            self._link.request(subject, question, AskSignalAnswer, _ANSWER_S), name=f"ask-owner-{session}"
        )
        try:
            while not (await asyncio.wait({asking}, timeout=_PATIENCE_S))[0]:
                await self._ping(subject, session)
            answer = asking.result()
        except NoAnswerError as error:
            if not error.nobody:
                raise TimeoutError(str(error)) from error
            return None
        except BadFrameError:
            return None
        finally:
            asking.cancel()
        return answer if answer.status else None

    async def _ping(self, subject: str, session: str) -> None:
        """Whoever holds a session answers at once when it is asked without the secret."""
        try:
            await self._link.request(subject, AskSignal(header=Header(session=session)), AskSignalAnswer, _PING_S)
        except NoAnswerError as error:
            if error.nobody:
                raise
            # While it is one's own link that is silent, nobody is judged.
            if self._link.settled:
                raise OwnerSilentError(str(error)) from error


def knows_secret(secret: str, ask: AskSignal) -> bool:
    """Whether whoever asked has the session's whole id. Takes the same time wherever they differ."""
    return hmac.compare_digest(secret.encode(), ask.secret.encode())
