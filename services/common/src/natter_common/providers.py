"""Providers of a stage: found through entry points, loaded before the worker is ready, closed at its end.

A stage defines its own protocol class on top of `Provider`; a provider is one file that implements it and is registered
in the stage's entry point group (`natter.stt`, `natter.llm`, `natter.tts`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import entry_points
from typing import Final, Protocol, TypeVar

from prometheus_client import CollectorRegistry

from natter_common.logs import Log


class Trouble(StrEnum):
    """Codes of what may be wrong with a provider in somebody else's hands."""

    UNAUTHORIZED = "unauthorized"
    QUOTA = "quota"
    RATE_LIMITED = "rate_limited"
    UNAVAILABLE = "unavailable"
    """It can't be reached, or says that it is broken."""
    STALLED = "stalled"
    """It makes no progress though work is due."""
    CUT_OFF = "cut_off"
    """The connection ended in the middle."""
    MALFORMED = "malformed"
    """It says what can't be understood."""
    BAD_SETTINGS = "bad_settings"
    """It does not know the model, voice or language."""
    NOT_CONFIGURED = "not_configured"
    """Nobody gave it a key."""


LASTING: Final = frozenset({Trouble.UNAUTHORIZED, Trouble.QUOTA, Trouble.BAD_SETTINGS, Trouble.NOT_CONFIGURED})
"""Trouble that does not pass by itself: trying the same again is pointless."""


class ProviderError(Exception):
    """A provider that can't go on. `code` is for programs, the text for people (and free of what was said).

    `retryable`: the same provider may well succeed the next time.
    """

    def __init__(self, code: str, words: str, *, retryable: bool = True) -> None:
        super().__init__(words)
        self.code = code
        self.retryable = retryable


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a vendor's HTTP status means: the arguments of a `ProviderError`."""

    code: Trouble
    words: str
    retryable: bool


_MOST_DETAIL_CHARACTERS: Final = 200


def refused(vendor: str, status: int, key_variable: str, detail: str = "") -> Refusal:
    """An HTTP status of a vendor's, also of a refused WebSocket handshake, in words that say what to do.

    `key_variable` names the environment variable with the key; `detail` is the vendor's own message.
    """
    said = " ".join(detail.split())[:_MOST_DETAIL_CHARACTERS]
    # Some quote the key that they refuse, in part or whole.
    says = f" {vendor} says: {said}" if said and status not in (401, 403) else ""
    match status:
        case 401 | 403:
            words = f"{vendor} refused the key in {key_variable} ({status}): check it, or unset it to do without."
            code = Trouble.UNAUTHORIZED
        case 402:
            words = f"{vendor} has no credit left for the key in {key_variable} ({status}): add some, or unset it."
            code = Trouble.QUOTA
        case 429:
            words, code = f"{vendor} is asked too often for this key ({status}).", Trouble.RATE_LIMITED
        case 408 | 409 | 425:
            words, code = f"{vendor} did not get to it in time ({status}).", Trouble.UNAVAILABLE
        case _ if 400 <= status < 500:
            words = f"{vendor} does not take these settings ({status}): check the bot's model, voice and language."
            code = Trouble.BAD_SETTINGS
        case _:
            words, code = f"{vendor} is out of order ({status}).", Trouble.UNAVAILABLE
    return Refusal(code, words + says, code not in LASTING)


class NoProviderError(RuntimeError):
    """Not one provider could be loaded; the text says why."""


class Provider(Protocol):
    """What every provider has. One object serves all sessions of a worker, from one event loop."""

    @property
    def name(self) -> str:
        """In lower case, as bots and subjects name it."""
        ...

    def describe(self) -> str:
        """What is really used, for people: "Moonshine tiny, English"."""
        ...

    async def load(self, registry: CollectorRegistry) -> None:
        """Make ready, before the worker is. Metrics of its own go into `registry`. Needs no network.

        Raises:
            ProviderError: it can't be had here; the text says what is missing.
        """
        ...

    async def probe(self) -> None:
        """Check cheaply that it can be used now; ends within 5 s.

        Raises:
            ProviderError: it can't; the text says why.
        """
        ...

    async def close(self) -> None:
        """Free what `load` took."""
        ...


ProviderT = TypeVar("ProviderT", bound=Provider)


def installed(group: str, kind: type[ProviderT]) -> list[ProviderT]:
    """One object of each provider that an installed package registers in `group`, by name, not loaded yet.

    `kind` is the stage's protocol class, runtime-checkable. Raises `TypeError` for what is registered and is none.
    """
    providers: list[ProviderT] = []
    for entry in sorted(entry_points(group=group), key=lambda entry: entry.name):
        provider = entry.load()()
        if not isinstance(provider, kind):
            raise TypeError(f"{entry.value}, registered as {entry.name} in {group}, is no {kind.__name__}")
        providers.append(provider)
    return providers


async def load_all(providers: Sequence[ProviderT], registry: CollectorRegistry, log: Log) -> Mapping[str, ProviderT]:
    """Load `providers`; those that can't be had are logged and left out. Raises `NoProviderError` when none is left."""
    loaded: dict[str, ProviderT] = {}
    problems: list[str] = []
    for provider in providers:
        try:
            await provider.load(registry)
        except ProviderError as error:
            tell = log.info if error.code == Trouble.NOT_CONFIGURED else log.warning
            tell("provider left out", provider=provider.name, code=error.code, reason=str(error))
            problems.append(f"{provider.name}: {error}")
        else:
            loaded[provider.name] = provider
    if not loaded:
        raise NoProviderError("; ".join(problems) or "no provider is installed")
    return loaded


async def close_all(providers: Mapping[str, Provider]) -> None:
    """Close every provider of a worker that ends."""
    for provider in providers.values():
        await provider.close()
