"""`natter sessions list|show|replay|purge`."""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import orjson

from natter_common.settings import ServiceSettings
from natter_gateway.cli.archive import ArchiveError, SessionSummary, open_archive
from natter_gateway.journal.codec import encode, kind_of
from natter_gateway.journal.recording import BadRecordingError, Entry, Recording, Unknown, load, save
from natter_gateway.journal.replay import NotReplayableError, decided_anew, replay
from natter_gateway.journal.timeline import timeline
from natter_gateway.turns.machine import VERSION
from natter_proto import BadTokenError, RealmSubjects, token

_DIFFERENT: Final = 1
_FAILED: Final = 2
_FILE_OR_ID: Final = "its id, or a file that `replay --save` wrote"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command. 0: done; 1: a replay decided something else; 2: it could not be done (why is on stderr)."""
    parsed = _parser().parse_args(arguments)
    try:
        RealmSubjects(parsed.realm)
        return _COMMANDS[parsed.command](parsed)
    except (ArchiveError, BadRecordingError, NotReplayableError, BadTokenError, OSError) as error:
        sys.stderr.write(f"natter: {error}\n")
        return _FAILED
    except KeyboardInterrupt:
        return 130


def _list(parsed: argparse.Namespace) -> int:
    sessions = asyncio.run(_sessions(parsed))
    if parsed.json:
        _write_json([asdict(one) for one in sessions])
        return 0
    rows = [("SESSION", "BOT", "STARTED", "TURNS", "STATE"), *(_row(one) for one in sessions)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        sys.stdout.write("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() + "\n")
    return 0


def _row(one: SessionSummary) -> tuple[str, str, str, str, str]:
    started = "?" if one.started_unix_ms is None else _time(one.started_unix_ms)
    turns = "?" if one.turns is None else str(one.turns)
    state = one.state if one.reason is None else f"{one.state} ({one.reason})"
    return one.session, one.bot or "?", started, turns, state


def _time(unix_ms: int) -> str:
    return datetime.fromtimestamp(unix_ms / 1000, UTC).isoformat(sep=" ", timespec="seconds")


def _show(parsed: argparse.Namespace) -> int:
    recording = _recording(parsed)
    if parsed.json:
        _write_json({"session": recording.session, "entries": [_plain(entry) for entry in recording.entries]})
        return 0
    sys.stdout.write(f"session {recording.session}\n{'ms':>9}  {'turn':>4}\n")
    for line in timeline(recording, everything=parsed.all):
        sys.stdout.write(f"{line.at_ms:>9.0f}  {line.turn or '':>4}  {line.text}\n")
    return 0


def _plain(entry: Entry) -> dict[str, Any]:
    content = entry.content
    if isinstance(content, Unknown):
        told: dict[str, Any] = {"kind": content.kind, "problem": content.problem}
    else:
        told = {"kind": kind_of(content), "content": orjson.Fragment(encode(content))}
    return {"number": entry.number, "at_us": entry.at_us, "mic_sample": entry.mic_sample, **told}


def _replay(parsed: argparse.Namespace) -> int:
    recording = _recording(parsed)
    if parsed.save is not None:
        save(recording, parsed.save)
    if parsed.update:
        return _update(parsed, recording)
    done = replay(recording, any_version=parsed.any_version)
    if done.difference is None:
        sys.stdout.write(f"the same: {done.inputs} inputs, {done.decisions} decisions\n")
        return 0
    sys.stdout.write(f"different after {done.inputs} inputs (- as recorded, + as decided now):\n")
    sys.stdout.writelines(f"{line}\n" for line in done.difference.lines())
    return _DIFFERENT


def _update(parsed: argparse.Namespace, recording: Recording) -> int:
    """Accept what this version decides."""
    path = Path(parsed.session)
    if not path.is_file():
        raise NotReplayableError("only a file can be updated: --save one")
    save(decided_anew(recording), path)
    sys.stdout.write(f"{path} has the decisions of version {VERSION} now\n")
    return 0


def _purge(parsed: argparse.Namespace) -> int:
    session = _session(parsed.session)
    goes_on = asyncio.run(_remove(parsed, session))
    left = " but what follows: it goes on" if goes_on else " any more"
    sys.stdout.write(f"nothing is kept of session {session}{left}\n")
    return 0


def _recording(parsed: argparse.Namespace) -> Recording:
    """Of a file, or of a session."""
    path = Path(parsed.session)
    return load(path) if path.is_file() else asyncio.run(_fetched(parsed, _session(parsed.session)))


async def _sessions(parsed: argparse.Namespace) -> list[SessionSummary]:
    async with open_archive(_servers(parsed), parsed.realm) as archive:
        return await archive.sessions()


async def _fetched(parsed: argparse.Namespace, session: str) -> Recording:
    async with open_archive(_servers(parsed), parsed.realm) as archive:
        return await archive.recording(session)


async def _remove(parsed: argparse.Namespace, session: str) -> bool:
    async with open_archive(_servers(parsed), parsed.realm) as archive:
        return await archive.purge(session)


def _session(given: str) -> str:
    """The session of an id; ids of URLs have a secret behind it."""
    return token(given.partition(".")[0])


def _servers(parsed: argparse.Namespace) -> list[str]:
    return [url.strip() for url in parsed.nats_url.split(",") if url.strip()]


def _write_json(value: object) -> None:
    sys.stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode() + "\n")


_COMMANDS: Final = {"list": _list, "show": _show, "replay": _replay, "purge": _purge}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="natter", description="Looks at Natter's conversations from outside.")
    subjects = parser.add_subparsers(dest="subject", required=True, metavar="WHAT")
    sessions = subjects.add_parser("sessions", help="conversations that go on, and journals of those that are over")
    commands = sessions.add_subparsers(dest="command", required=True, metavar="COMMAND")

    listing = commands.add_parser("list", help="all that anything is known of")
    _common(listing)
    listing.add_argument("--json", action="store_true")

    show = commands.add_parser("show", help="what was said, heard and decided, with times")
    _common(show, _FILE_OR_ID)
    show.add_argument("--json", action="store_true", help="each entry of the journal")
    show.add_argument("--all", action="store_true", help="each entry, in a line")

    again = commands.add_parser(
        "replay",
        help="tell the turn machine again what it was told: it must decide the same",
        description="Exits with 1 at the first decision that differs, and shows it.",
    )
    _common(again, _FILE_OR_ID)
    again.add_argument("--save", type=Path, metavar="FILE", help="also write the journal to a file, for a test")
    again.add_argument("--any-version", action="store_true", help="also if another version of the machine decided")

    again.add_argument("--update", action="store_true", help="write what is decided now into the file, to be accepted")

    purge = commands.add_parser("purge", help="remove a session's journal and snapshot")
    _common(purge, "its id")
    return parser


def _common(parser: argparse.ArgumentParser, session: str | None = None) -> None:
    if session is not None:
        parser.add_argument("session", help=session)
    fields = ServiceSettings.model_fields
    parser.add_argument(
        "--nats-url", default=os.environ.get("NATS_URL", fields["nats_url"].default), help="default: %(default)s"
    )
    parser.add_argument(
        "--realm", default=os.environ.get("NATTER_REALM", fields["realm"].default), help="default: %(default)s"
    )


if __name__ == "__main__":
    sys.exit(main())
