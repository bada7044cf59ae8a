"""What an older service sends is read by this one, and what a newer one sends does no harm."""

from pathlib import Path

import pytest
from google.protobuf.message import Message

from natter_proto import Mic, Speech, Stage, decode, encode
from natter_testing.frames import FRAMES


@pytest.mark.parametrize("name", sorted(FRAMES))
def test_recorded_bytes_mean_what_they_meant(name: str, recorded: Path) -> None:
    payload = (recorded / f"{name}.v1.bin").read_bytes()
    assert decode(type(FRAMES[name]), payload) == FRAMES[name]


def _newer(name: str) -> str:
    """The name of the example that has the fields which came after this one's."""
    stem, _, number = name.rpartition("_")
    return f"{stem}_{int(number) + 1}" if number.isdigit() else f"{name}_2"


@pytest.mark.parametrize("name", sorted(name for name in FRAMES if _newer(name) not in FRAMES))
def test_every_field_of_every_frame_is_in_its_example(name: str) -> None:
    def unset(frame: Message) -> list[str]:
        missing = [
            f"{frame.DESCRIPTOR.name}.{field.name}"
            for field in frame.DESCRIPTOR.fields
            if field.containing_oneof is None and field not in {known for known, _ in frame.ListFields()}
        ]
        for field, value in frame.ListFields():
            if field.message_type is not None and not field.message_type.GetOptions().map_entry:
                for inner in value if field.is_repeated else [value]:
                    missing += unset(inner)
        return missing

    assert unset(FRAMES[name]) == []


def test_fields_that_this_version_does_not_know_are_tolerated_and_kept() -> None:
    # Field 1000, varint 1: as a newer service might add.
    payload = encode(FRAMES["mic"]) + b"\xc0\x3e\x01"
    frame = decode(Mic, payload)
    assert frame.audio == FRAMES["mic"].audio  # type: ignore[attr-defined]
    assert encode(frame) == payload


def test_enum_values_that_this_version_does_not_know_are_tolerated() -> None:
    frame = decode(Speech, Speech(event=77).SerializeToString())  # type: ignore[arg-type]
    assert frame.event == 77
    assert 77 not in Stage.values()
