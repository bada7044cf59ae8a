from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class Stage(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STAGE_UNSPECIFIED: _ClassVar[Stage]
    STAGE_VAD: _ClassVar[Stage]
    STAGE_STT: _ClassVar[Stage]
    STAGE_LLM: _ClassVar[Stage]
    STAGE_TTS: _ClassVar[Stage]

class Modality(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MODALITY_UNSPECIFIED: _ClassVar[Modality]
    MODALITY_VOICE: _ClassVar[Modality]
    MODALITY_TEXT: _ClassVar[Modality]
STAGE_UNSPECIFIED: Stage
STAGE_VAD: Stage
STAGE_STT: Stage
STAGE_LLM: Stage
STAGE_TTS: Stage
MODALITY_UNSPECIFIED: Modality
MODALITY_VOICE: Modality
MODALITY_TEXT: Modality

class Header(_message.Message):
    __slots__ = ("session", "term", "epoch", "turn", "attempt", "segment", "producer", "number", "traceparent")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    TERM_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    TURN_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    SEGMENT_FIELD_NUMBER: _ClassVar[int]
    PRODUCER_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    TRACEPARENT_FIELD_NUMBER: _ClassVar[int]
    session: str
    term: int
    epoch: int
    turn: int
    attempt: int
    segment: int
    producer: str
    number: int
    traceparent: str
    def __init__(self, session: _Optional[str] = ..., term: _Optional[int] = ..., epoch: _Optional[int] = ..., turn: _Optional[int] = ..., attempt: _Optional[int] = ..., segment: _Optional[int] = ..., producer: _Optional[str] = ..., number: _Optional[int] = ..., traceparent: _Optional[str] = ...) -> None: ...
