"""Subjects: spelled as the design says, closed to tokens that could widen them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natter_proto import (
    Ask,
    BadTokenError,
    Control,
    RealmSubjects,
    Report,
    Stage,
    frame_kind,
    last_token,
    new_id,
    token,
)
from natter_proto.subjects import LOG_SHARDS, log_shard


def test_subjects_of_a_session() -> None:
    session = RealmSubjects("main").session("abc")
    assert session.mic == "natter.v1.main.s.abc.mic"
    assert session.voice == "natter.v1.main.s.abc.voice"
    assert session.controls == "natter.v1.main.s.abc.c.*"
    assert session.reports == "natter.v1.main.s.abc.r.*"
    assert session.asks == "natter.v1.main.s.abc.ask.*"
    assert session.control(Control.STATE) == "natter.v1.main.s.abc.c.state"
    assert session.report(Report.TRANSCRIPT) == "natter.v1.main.s.abc.r.transcript"
    assert session.ask(Ask.MIC) == "natter.v1.main.s.abc.ask.mic"


def test_subjects_of_a_realm() -> None:
    realm = RealmSubjects("tenant-1")
    assert realm.offer(Stage.STAGE_STT, "deepgram") == "natter.v1.tenant-1.stage.stt.deepgram.offer"
    assert realm.worker("w1") == "natter.v1.tenant-1.worker.w1"
    assert realm.beat("g1") == "natter.v1.tenant-1.beat.g1"
    assert realm.log(3, "abc") == "natter.v1.tenant-1.log.3.abc"
    assert realm.session_log("abc") == f"natter.v1.tenant-1.log.{log_shard('abc')}.abc"
    assert realm.logs == "natter.v1.tenant-1.log.>"
    assert realm.tool("weather") == "natter.v1.tenant-1.tool.weather"


def test_journals_are_spread_over_all_shards_and_stay_where_they_are() -> None:
    assert {log_shard(f"session-{number}") for number in range(500)} == set(range(LOG_SHARDS))
    assert log_shard("abc") == 2


@pytest.mark.parametrize("bad", ["", "a.b", "*", ">", "a b", "a\n", "é", "x" * 65, "a/b", "a\r\nPUB x 0"])
def test_tokens_from_outside_are_refused(bad: str) -> None:
    with pytest.raises(BadTokenError, match="is no token"):
        token(bad)
    for build in (RealmSubjects, RealmSubjects("main").session, RealmSubjects("main").worker):
        with pytest.raises(BadTokenError):
            build(bad)


@given(st.text(max_size=80))
def test_a_token_never_changes_a_subjects_shape(text: str) -> None:
    try:
        subject = RealmSubjects("main").worker(text)
    except BadTokenError:
        return
    assert subject.count(".") == 4
    assert last_token(subject) == text


def test_the_kind_of_a_frame_is_never_somebodys_id() -> None:
    realm = RealmSubjects("main")
    session = realm.session("0123456789abcdef")
    subjects = {
        "mic": session.mic,
        "voice": session.voice,
        "state": session.control(Control.STATE),
        "reply": session.report(Report.REPLY),
        "signal": session.ask(Ask.SIGNAL),
        "offer": realm.offer(Stage.STAGE_LLM, "local"),
        "worker": realm.worker("0123456789abcdef"),
        "beat": realm.beat("0123456789abcdef"),
        "log": realm.session_log("0123456789abcdef"),
        "tool": realm.tool("weather"),
        "inbox": "_INBOX.0123456789.abcdef",
    }
    assert {kind: frame_kind(subject) for kind, subject in subjects.items()} == {kind: kind for kind in subjects}
    assert frame_kind(f"{realm.beat('0123456789abcdef')}.self") == "beat"


def test_ids_are_tokens_and_differ() -> None:
    ids = {new_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(token(made) == made for made in ids)
