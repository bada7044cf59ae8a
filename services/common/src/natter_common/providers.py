"""Providers of a stage: found through entry points, loaded before the worker is ready, closed at its end.

A stage defines its own protocol class on top of `Provider`; a provider is one file that implements it and is registered
in the stage's entry point group (`natter.stt`, `natter.llm`, `natter.tts`).
"""

from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from typing import Protocol, TypeVar

from prometheus_client import CollectorRegistry

from natter_common.logs import Log


class ProviderError(Exception):
    """A provider that can't go on. `code` is for programs, the text for people (and free of what was said).

    `retryable`: another worker or provider may well succeed.
    """

    def __init__(self, code: str, words: str, *, retryable: bool = True) -> None:
        super().__init__(words)
        self.code = code
        self.retryable = retryable


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
        """Make ready, before the worker is. Metrics of its own go into `registry`.

        Raises:
            ProviderError: it can't be had here; the text says what is missing.
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
            log.warning("provider left out", provider=provider.name, code=error.code, reason=str(error))
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
