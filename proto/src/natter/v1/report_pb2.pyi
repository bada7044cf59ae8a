from natter.v1 import audio_pb2 as _audio_pb2
from natter.v1 import header_pb2 as _header_pb2
from natter.v1 import tool_pb2 as _tool_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SpeechEvent(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SPEECH_EVENT_UNSPECIFIED: _ClassVar[SpeechEvent]
    SPEECH_EVENT_ONSET: _ClassVar[SpeechEvent]
    SPEECH_EVENT_SPEECH: _ClassVar[SpeechEvent]
    SPEECH_EVENT_PAUSE: _ClassVar[SpeechEvent]
    SPEECH_EVENT_RESUME: _ClassVar[SpeechEvent]
    SPEECH_EVENT_FALSE_ONSET: _ClassVar[SpeechEvent]
    SPEECH_EVENT_DIP: _ClassVar[SpeechEvent]
    SPEECH_EVENT_GOES_ON: _ClassVar[SpeechEvent]
    SPEECH_EVENT_ESTIMATE: _ClassVar[SpeechEvent]

class TurnSign(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TURN_SIGN_UNSPECIFIED: _ClassVar[TurnSign]
    TURN_SIGN_EAGER_END: _ClassVar[TurnSign]
    TURN_SIGN_RESUMED: _ClassVar[TurnSign]
    TURN_SIGN_END: _ClassVar[TurnSign]

class ReplyKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REPLY_KIND_UNSPECIFIED: _ClassVar[ReplyKind]
    REPLY_KIND_DELTA: _ClassVar[ReplyKind]
    REPLY_KIND_SEGMENT: _ClassVar[ReplyKind]
    REPLY_KIND_TOOL_CALLS: _ClassVar[ReplyKind]
    REPLY_KIND_END: _ClassVar[ReplyKind]

class EndReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    END_REASON_UNSPECIFIED: _ClassVar[EndReason]
    END_REASON_STOP: _ClassVar[EndReason]
    END_REASON_LENGTH: _ClassVar[EndReason]
    END_REASON_TOOL_CALLS: _ClassVar[EndReason]
    END_REASON_FILTERED: _ClassVar[EndReason]
SPEECH_EVENT_UNSPECIFIED: SpeechEvent
SPEECH_EVENT_ONSET: SpeechEvent
SPEECH_EVENT_SPEECH: SpeechEvent
SPEECH_EVENT_PAUSE: SpeechEvent
SPEECH_EVENT_RESUME: SpeechEvent
SPEECH_EVENT_FALSE_ONSET: SpeechEvent
SPEECH_EVENT_DIP: SpeechEvent
SPEECH_EVENT_GOES_ON: SpeechEvent
SPEECH_EVENT_ESTIMATE: SpeechEvent
TURN_SIGN_UNSPECIFIED: TurnSign
TURN_SIGN_EAGER_END: TurnSign
TURN_SIGN_RESUMED: TurnSign
TURN_SIGN_END: TurnSign
REPLY_KIND_UNSPECIFIED: ReplyKind
REPLY_KIND_DELTA: ReplyKind
REPLY_KIND_SEGMENT: ReplyKind
REPLY_KIND_TOOL_CALLS: ReplyKind
REPLY_KIND_END: ReplyKind
END_REASON_UNSPECIFIED: EndReason
END_REASON_STOP: EndReason
END_REASON_LENGTH: EndReason
END_REASON_TOOL_CALLS: EndReason
END_REASON_FILTERED: EndReason

class Speech(_message.Message):
    __slots__ = ("header", "event", "sample", "probability", "through_sample")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    THROUGH_SAMPLE_FIELD_NUMBER: _ClassVar[int]
    header: _header_pb2.Header
    event: SpeechEvent
    sample: int
    probability: float
    through_sample: int
    def __init__(self, header: _Optional[_Union[_header_pb2.Header, _Mapping]] = ..., event: _Optional[_Union[SpeechEvent, str]] = ..., sample: _Optional[int] = ..., probability: _Optional[float] = ..., through_sample: _Optional[int] = ...) -> None: ...

class Transcript(_message.Message):
    __slots__ = ("header", "words", "final", "through_sample", "language", "speaker", "revision", "finalize_id", "provider", "took_ms", "sign")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    WORDS_FIELD_NUMBER: _ClassVar[int]
    FINAL_FIELD_NUMBER: _ClassVar[int]
    THROUGH_SAMPLE_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    SPEAKER_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    FINALIZE_ID_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    TOOK_MS_FIELD_NUMBER: _ClassVar[int]
    SIGN_FIELD_NUMBER: _ClassVar[int]
    header: _header_pb2.Header
    words: _containers.RepeatedCompositeFieldContainer[_audio_pb2.Word]
    final: bool
    through_sample: int
    language: str
    speaker: str
    revision: int
    finalize_id: int
    provider: str
    took_ms: float
    sign: TurnSign
    def __init__(self, header: _Optional[_Union[_header_pb2.Header, _Mapping]] = ..., words: _Optional[_Iterable[_Union[_audio_pb2.Word, _Mapping]]] = ..., final: _Optional[bool] = ..., through_sample: _Optional[int] = ..., language: _Optional[str] = ..., speaker: _Optional[str] = ..., revision: _Optional[int] = ..., finalize_id: _Optional[int] = ..., provider: _Optional[str] = ..., took_ms: _Optional[float] = ..., sign: _Optional[_Union[TurnSign, str]] = ...) -> None: ...

class Usage(_message.Message):
    __slots__ = ("prompt_tokens", "completion_tokens", "cached_tokens", "estimated")
    PROMPT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    COMPLETION_TOKENS_FIELD_NUMBER: _ClassVar[int]
    CACHED_TOKENS_FIELD_NUMBER: _ClassVar[int]
    ESTIMATED_FIELD_NUMBER: _ClassVar[int]
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    estimated: bool
    def __init__(self, prompt_tokens: _Optional[int] = ..., completion_tokens: _Optional[int] = ..., cached_tokens: _Optional[int] = ..., estimated: _Optional[bool] = ...) -> None: ...

class Reply(_message.Message):
    __slots__ = ("header", "kind", "text", "spoken", "tool_calls", "reason", "usage", "segments", "took_ms", "provider", "step")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    SPOKEN_FIELD_NUMBER: _ClassVar[int]
    TOOL_CALLS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    SEGMENTS_FIELD_NUMBER: _ClassVar[int]
    TOOK_MS_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    header: _header_pb2.Header
    kind: ReplyKind
    text: str
    spoken: str
    tool_calls: _containers.RepeatedCompositeFieldContainer[_tool_pb2.ToolCall]
    reason: EndReason
    usage: Usage
    segments: int
    took_ms: float
    provider: str
    step: int
    def __init__(self, header: _Optional[_Union[_header_pb2.Header, _Mapping]] = ..., kind: _Optional[_Union[ReplyKind, str]] = ..., text: _Optional[str] = ..., spoken: _Optional[str] = ..., tool_calls: _Optional[_Iterable[_Union[_tool_pb2.ToolCall, _Mapping]]] = ..., reason: _Optional[_Union[EndReason, str]] = ..., usage: _Optional[_Union[Usage, _Mapping]] = ..., segments: _Optional[int] = ..., took_ms: _Optional[float] = ..., provider: _Optional[str] = ..., step: _Optional[int] = ...) -> None: ...

class Fault(_message.Message):
    __slots__ = ("header", "code", "stage", "provider", "retryable", "words")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    RETRYABLE_FIELD_NUMBER: _ClassVar[int]
    WORDS_FIELD_NUMBER: _ClassVar[int]
    header: _header_pb2.Header
    code: str
    stage: _header_pb2.Stage
    provider: str
    retryable: bool
    words: str
    def __init__(self, header: _Optional[_Union[_header_pb2.Header, _Mapping]] = ..., code: _Optional[str] = ..., stage: _Optional[_Union[_header_pb2.Stage, str]] = ..., provider: _Optional[str] = ..., retryable: _Optional[bool] = ..., words: _Optional[str] = ...) -> None: ...
