"""Signatures as Natter makes them against the check that docs/tools.md gives to receivers."""

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from natter_llm.tools.signature import signature

DOCS = Path(__file__).parents[3] / "docs" / "tools.md"
BODY = b'{"id":"1.0.0"}'

Check = Callable[[str, str, str, bytes], bool]


@pytest.fixture(scope="module")
def is_from_natter() -> Check:
    snippet = re.search(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)
    assert snippet is not None
    names: dict[str, Check] = {}
    exec(snippet[1], names)  # noqa: S102 - the point is to run what the page says
    return names["is_from_natter"]


def now(shift_s: int = 0) -> str:
    return str(int(time.time()) + shift_s)


def test_the_check_in_the_documentation_takes_what_natter_signs(is_from_natter: Check) -> None:
    timestamp = now()
    assert is_from_natter("secret", timestamp, signature("secret", timestamp, BODY), BODY)


@pytest.mark.parametrize("shift_s", [-302, 302])
def test_what_is_too_old_or_from_the_future_is_refused(is_from_natter: Check, shift_s: int) -> None:
    timestamp = now(shift_s)
    assert not is_from_natter("secret", timestamp, signature("secret", timestamp, BODY), BODY)


def test_what_was_changed_is_refused(is_from_natter: Check) -> None:
    timestamp = now()
    signed = signature("secret", timestamp, BODY)
    assert not is_from_natter("other", timestamp, signed, BODY)
    assert not is_from_natter("secret", now(-1), signed, BODY)
    assert not is_from_natter("secret", timestamp, signed, BODY + b" ")
    for nonsense in ("", "sha256=", "sha256=é", signed.removeprefix("sha256=")):
        assert not is_from_natter("secret", timestamp, nonsense, BODY)
    for nonsense in ("", "now", "1e9", "²"):
        assert not is_from_natter("secret", nonsense, signed, BODY)


def test_the_wire_format_stays() -> None:
    # printf '1700000000.body' | openssl dgst -sha256 -hmac secret
    expected = "42ac6f0448c1d9c3e1e82b9726248f58fef84afffcbad5188246e96070e0ea46"
    assert signature("secret", "1700000000", b"body") == f"sha256={expected}"
