"""The subjects that frames travel on; the only place that spells them.

Every token that comes from outside is checked here, so that nobody can widen a subject with a dot or a wildcard.
"""

import re
import secrets
import zlib
from enum import StrEnum
from typing import Final

from natter.v1.header_pb2 import Stage

PREFIX: Final = "natter.v1"
LOG_SHARDS: Final = 16
"""Journals are spread over so many subjects, so that one stream can become several."""
_NAMED: Final = frozenset({"beat", "worker", "log", "tool"})
"""Families of subjects that go on with the name or id of one."""
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_STAGE_NAMES: Final = {
    Stage.STAGE_VAD: "vad",
    Stage.STAGE_STT: "stt",
    Stage.STAGE_LLM: "llm",
    Stage.STAGE_TTS: "tts",
}


class BadTokenError(ValueError):
    """A token from outside that may not enter a subject."""

    def __init__(self, token: str) -> None:
        super().__init__(f"{token[:80]!r} is no token: 1 to 64 of A-Z a-z 0-9 _ - are")


class Control(StrEnum):
    """Last token of what the conductor sends to stages."""

    STATE = "state"
    TURN = "turn"
    FINALIZE = "finalize"
    PLAYOUT = "playout"


class Report(StrEnum):
    """Last token of what stages send to the conductor."""

    SPEECH = "speech"
    TRANSCRIPT = "transcript"
    REPLY = "reply"
    TOOL = "tool"
    FAULT = "fault"


class Ask(StrEnum):
    """Last token of a request to the conductor."""

    MIC = "mic"
    SIGNAL = "signal"


def token(text: str) -> str:
    """Return `text` when it may stand in a subject; raise `BadTokenError` otherwise."""
    if _TOKEN.fullmatch(text) is None:
        raise BadTokenError(text)
    return text


def new_id() -> str:
    """A random token: the id of a session, or of one process start."""
    return secrets.token_hex(8)


def log_shard(session: str) -> int:
    """Where a session's journal belongs: 0 to `LOG_SHARDS` - 1, always the same."""
    return zlib.crc32(session.encode()) % LOG_SHARDS


def stage_name(stage: Stage) -> str:
    return _STAGE_NAMES[stage]


class SessionSubjects:
    """Subjects of one session, spelled once so that the 20 ms path only reads them."""

    def __init__(self, realm: str, session: str) -> None:
        root = f"{PREFIX}.{token(realm)}.s.{token(session)}"
        self.mic: Final = f"{root}.mic"
        self.voice: Final = f"{root}.voice"
        self.controls: Final = f"{root}.c.*"
        self.reports: Final = f"{root}.r.*"
        self.asks: Final = f"{root}.ask.*"
        self._root = root

    def control(self, control: Control) -> str:
        return f"{self._root}.c.{control}"

    def report(self, report: Report) -> str:
        return f"{self._root}.r.{report}"

    def ask(self, ask: Ask) -> str:
        return f"{self._root}.ask.{ask}"


class RealmSubjects:
    """Subjects of a realm that belong to no session."""

    def __init__(self, realm: str) -> None:
        self.realm: Final = token(realm)
        self._root = f"{PREFIX}.{realm}"

    def session(self, session: str) -> SessionSubjects:
        return SessionSubjects(self.realm, session)

    def offer(self, stage: Stage, provider: str) -> str:
        return f"{self._root}.stage.{_STAGE_NAMES[stage]}.{token(provider)}.offer"

    def worker(self, worker: str) -> str:
        return f"{self._root}.worker.{token(worker)}"

    def beat(self, listener: str) -> str:
        return f"{self._root}.beat.{token(listener)}"

    def log(self, shard: int, session: str) -> str:
        return f"{self._root}.log.{shard}.{token(session)}"

    def session_log(self, session: str) -> str:
        """Where a session's journal is written."""
        return self.log(log_shard(session), session)

    @property
    def logs(self) -> str:
        """All journals of the realm."""
        return f"{self._root}.log.>"

    def tool(self, name: str) -> str:
        return f"{self._root}.tool.{token(name)}"


def frame_kind(subject: str) -> str:
    """What travels on a subject, for metrics: its last token, unless that is somebody's name or id."""
    if subject.startswith("_INBOX."):
        return "inbox"
    family = subject.removeprefix(f"{PREFIX}.").split(".", 2)[1:2]
    return family[0] if family and family[0] in _NAMED else last_token(subject)


def last_token(subject: str) -> str:
    """`natter.v1.main.s.abc.c.state` gives `state`."""
    return subject[subject.rfind(".") + 1 :]
