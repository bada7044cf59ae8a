from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from natter_common.metrics import Metrics
from natter_common.service import Service
from natter_proto import Stage
from natter_vad import smart_turn
from natter_vad.main import load


class Log:
    """Notes warnings."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warning(self, event: str, **_: object) -> None:
        self.warnings.append(event)


@pytest.mark.parametrize("has_file", [True, False])
async def test_a_worker_without_the_model_file_says_so_and_serves(
    has_file: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not has_file:
        monkeypatch.setattr(smart_turn, "_MODEL_FILE", "audio/turn/nothing.onnx")
    log = Log()
    definition = await load(cast("Service", SimpleNamespace(metrics=Metrics("vad"), log=log)))
    assert definition.stage == Stage.STAGE_VAD
    assert len(log.warnings) == (0 if has_file else 1)
    await definition.close()
