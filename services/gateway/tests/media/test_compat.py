"""The guard for what is used of aiortc's inside."""

import aiortc
import pytest
from aiortc import rtcsctptransport
from aiortc.rtcrtpreceiver import RTCRtpReceiver

from natter_gateway.media import compat
from natter_gateway.media.compat import IncompatibleAiortcError, check_aiortc


def test_the_installed_version_is_one_that_was_tested() -> None:
    assert aiortc.__version__.startswith(compat.TESTED_VERSIONS)
    check_aiortc()


@pytest.mark.parametrize("version", ["1.15.0", "1.17.0", "2.0.0", "1.160.0"])
def test_another_version_is_refused(version: str) -> None:
    with pytest.raises(IncompatibleAiortcError, match=version):
        check_aiortc(version)


def test_a_changed_handler_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async def handler(self: object, packet: object) -> None: ...

    monkeypatch.setattr(RTCRtpReceiver, "_handle_rtp_packet", handler)
    with pytest.raises(IncompatibleAiortcError, match="arrival_time_ms"):
        check_aiortc()


def test_a_renamed_attribute_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def init(self: object, kind: str, transport: object) -> None: ...

    monkeypatch.setattr(RTCRtpReceiver, "__init__", init)
    with pytest.raises(IncompatibleAiortcError, match="remote_streams"):
        check_aiortc()


def test_sctp_chunks_are_only_ever_made_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rtcsctptransport, "USERDATA_MAX_LENGTH", 1160)
    compat.limit_sctp_chunks()
    assert rtcsctptransport.USERDATA_MAX_LENGTH == 1100
    compat.limit_sctp_chunks(1150)
    assert rtcsctptransport.USERDATA_MAX_LENGTH == 1100
