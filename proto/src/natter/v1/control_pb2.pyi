from natter.v1 import header_pb2 as _header_pb2
from natter.v1 import tool_pb2 as _tool_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Role(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ROLE_UNSPECIFIED: _ClassVar[Role]
    ROLE_SYSTEM: _ClassVar[Role]
    ROLE_USER: _ClassVar[Role]
    ROLE_ASSISTANT: _ClassVar[Role]
    ROLE_TOOL: _ClassVar[Role]
ROLE_UNSPECIFIED: Role
ROLE_SYSTEM: Role
ROLE_USER: Role
ROLE_ASSISTANT: Role
ROLE_TOOL: Role

class Attempt(_message.Message):
    __slots__ = ("turn", "attempt", "committed", "segments_kept", "segments_granted", "modality", "segments_voiced")
    TURN_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    COMMITTED_FIELD_NUMBER: _ClassVar[int]
    SEGMENTS_KEPT_FIELD_NUMBER: _ClassVar[int]
    SEGMENTS_GRANTED_FIELD_NUMBER: _ClassVar[int]
    MODALITY_FIELD_NUMBER: _ClassVar[int]
    SEGMENTS_VOICED_FIELD_NUMBER: _ClassVar[int]
    turn: int
    attempt: int
    committed: bool
    segments_kept: int
    segments_granted: int
    modality: _header_pb2.Modality
    segments_voiced: int
    def __init__(self, turn: _Optional[int] = ..., attempt: _Optional[int] = ..., committed: _Optional[bool] = ..., segments_kept: _Optional[int] = ..., segments_granted: _Optional[int] = ..., modality: _Optional[_Union[_header_pb2.Modality, str]] = ..., segments_voiced: _Optional[int] = ...) -> None: ...

class LeaseEpoch(_message.Message):
    __slots__ = ("stage", "epoch", "worker")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    stage: _header_pb2.Stage
    epoch: int
    worker: str
    def __init__(self, stage: _Optional[_Union[_header_pb2.Stage, str]] = ..., epoch: _Optional[int] = ..., worker: _Optional[str] = ...) -> None: ...

class State(_message.Message):
    __slots__ = ("header", "number", "attempts", "leases", "speaking", "speech_from_sample", "speech_to_sample", "ended")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    LEASES_FIELD_NUMBER: _ClassVar[int]
    SPEAKING_FIELD_NUMBER: _ClassVar[int]
    SPEECH_FROM_SAMPLE_FIELD_NUMBER: _ClassVar[int]
    SPEECH_TO_SAMPLE_FIELD_NUMBER: _ClassVar[int]
    ENDED_FIELD_NUMBER: _ClassVar[int]
    header: _header_pb2.Header
    number: int
    attempts: _containers.RepeatedCompositeFieldContainer[Attempt]
    leases: _containers.RepeatedCompositeFieldContainer[LeaseEpoch]
    speaking: bool
    speech_from_sample: int
    speech_to_sample: int
    ended: bool
    def __init__(self, header: _Optional[_Union[_header_pb2.Header, _Mapping]] = ..., number: _Optional[int] = ..., attempts: _Optional[_Iterable[_Union[Attempt, _Mapping]]] = ..., leases: _Optional[_Iterable[_Union[LeaseEpoch, _Mapping]]] = ..., speaking: _Optional[bool] = ..., speech_from_sample: _Optional[int] = ..., speech_to_sample: _Optional[int] = ..., ended: _Optional[bool] = ...) -> None: ...

class Message(_message.Message):
    __slots__ = ("role", "content", "tool_calls", "tool_call_id")
    ROLE_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    TOOL_CALLS_FIELD_NUMBER: _ClassVar[int]
    TOOL_CALL_ID_FIELD_NUMBER: _ClassVar[int]
    role: Role
    content: str
    tool_calls: _containers.RepeatedCompositeFieldContainer[_tool_pb2.ToolCall]
    tool_call_id: str
    def __init__(self, role: _Optional[_Union[Role, str]] = ..., content: _Optional[str] = ..., tool_calls: _Optional[_Iterable[_Union[_tool_pb2.ToolCall, _Mapping]]] = ..., tool_call_id: _Optional[str] = ...) -> None: ...

class Segment(_message.Message):
    __slots__ = ("segment", "text", "spoken")
    SEGMENT_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    SPOKEN_FIELD_NUMBER: _ClassVar[int]
    segment: int
    text: str
    spoken: str
    def __init__(self, segment: _Optional[int] = ..., text: _Optional[str] = ..., spoken: _Optional[str] = ...) -> None: ...

class Turn(_message.Message):
    __slots__ = ("header", "context", "text", "reply_so_far", "tool_results", "modality", "verbatim", "step", "steps", "segments_kept")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    REPLY_SO_FAR_FIELD_NUMBER: _ClassVar[int]
    TOOL_RESULTS_FIELD_NUMBER: _ClassVar[int]
    MODALITY_FIELD_NUMBER: _ClassVar[int]
    VERBATIM_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    SEGMENTS_KEPT_FIELD_NUMBER: _ClassVar[int]
    header: _header_pb2.Header
    context: _containers.RepeatedCompositeFieldContainer[Message]
    text: str
    reply_so_far: _containers.RepeatedCompositeFieldContainer[Segment]
    tool_results: _containers.RepeatedCompositeFieldContainer[_tool_pb2.ToolResult]
    modality: _header_pb2.Modality
    verbatim: bool
    step: int
    steps: _containers.RepeatedCompositeFieldContainer[Message]
    segments_kept: int
    def __init__(self, header: _Optional[_Union[_header_pb2.Header, _Mapping]] = ..., context: _Optional[_Iterable[_Union[Message, _Mapping]]] = ..., text: _Optional[str] = ..., reply_so_far: _Optional[_Iterable[_Union[Segment, _Mapping]]] = ..., tool_results: _Optional[_Iterable[_Union[_tool_pb2.ToolResult, _Mapping]]] = ..., modality: _Optional[_Union[_header_pb2.Modality, str]] = ..., verbatim: _Optional[bool] = ..., step: _Optional[int] = ..., steps: _Optional[_Iterable[_Union[Message, _Mapping]]] = ..., segments_kept: _Optional[int] = ...) -> None: ...

class Finalize(_message.Message):
    __slots__ = ("header", "finalize_id", "through_sample")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    FINALIZE_ID_FIELD_NUMBER: _ClassVar[int]
    THROUGH_SAMPLE_FIELD_NUMBER: _ClassVar[int]
    header: _header_pb2.Header
    finalize_id: int
    through_sample: int
    def __init__(self, header: _Optional[_Union[_header_pb2.Header, _Mapping]] = ..., finalize_id: _Optional[int] = ..., through_sample: _Optional[int] = ...) -> None: ...

class Playout(_message.Message):
    __slots__ = ("header", "sample", "queued_ms", "held")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_FIELD_NUMBER: _ClassVar[int]
    QUEUED_MS_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    header: _header_pb2.Header
    sample: int
    queued_ms: int
    held: bool
    def __init__(self, header: _Optional[_Union[_header_pb2.Header, _Mapping]] = ..., sample: _Optional[int] = ..., queued_ms: _Optional[int] = ..., held: _Optional[bool] = ...) -> None: ...
