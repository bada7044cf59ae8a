"""Where the recorded bytes of earlier versions lie."""

from pathlib import Path

import pytest


@pytest.fixture
def recorded() -> Path:
    return Path(__file__).parent / "recorded"
