from natter.v1 import header_pb2 as _header_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Codec(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CODEC_UNSPECIFIED: _ClassVar[Codec]
    CODEC_PCM_S16LE: _ClassVar[Codec]
    CODEC_OPUS: _ClassVar[Codec]
CODEC_UNSPECIFIED: Codec
CODEC_PCM_S16LE: Codec
CODEC_OPUS: Codec

class Audio(_message.Message):
    __slots__ = ("codec", "rate_hz", "channels", "first_sample", "sample_count", "concealed", "muted", "discontinuity", "end", "data")
    CODEC_FIELD_NUMBER: _ClassVar[int]
    RATE_HZ_FIELD_NUMBER: _ClassVar[int]
    CHANNELS_FIELD_NUMBER: _ClassVar[int]
    FIRST_SAMPLE_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_COUNT_FIELD_NUMBER: _ClassVar[int]
    CONCEALED_FIELD_NUMBER: _ClassVar[int]
    MUTED_FIELD_NUMBER: _ClassVar[int]
    DISCONTINUITY_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    codec: Codec
    rate_hz: int
    channels: int
    first_sample: int
    sample_count: int
    concealed: bool
    muted: bool
    discontinuity: bool
    end: bool
    data: bytes
    def __init__(self, codec: _Optional[_Union[Codec, str]] = ..., rate_hz: _Optional[int] = ..., channels: _Optional[int] = ..., first_sample: _Optional[int] = ..., sample_count: _Optional[int] = ..., concealed: _Optional[bool] = ..., muted: _Optional[bool] = ..., discontinuity: _Optional[bool] = ..., end: _Optional[bool] = ..., data: _Optional[bytes] = ...) -> None: ...

class Word(_message.Message):
    __slots__ = ("text", "from_sample", "to_sample", "confidence", "estimated")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    FROM_SAMPLE_FIELD_NUMBER: _ClassVar[int]
    TO_SAMPLE_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    ESTIMATED_FIELD_NUMBER: _ClassVar[int]
    text: str
    from_sample: int
    to_sample: int
    confidence: float
    estimated: bool
    def __init__(self, text: _Optional[str] = ..., from_sample: _Optional[int] = ..., to_sample: _Optional[int] = ..., confidence: _Optional[float] = ..., estimated: _Optional[bool] = ...) -> None: ...

class Mic(_message.Message):
    __slots__ = ("header", "audio")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    AUDIO_FIELD_NUMBER: _ClassVar[int]
    header: _header_pb2.Header
    audio: Audio
    def __init__(self, header: _Optional[_Union[_header_pb2.Header, _Mapping]] = ..., audio: _Optional[_Union[Audio, _Mapping]] = ...) -> None: ...

class Voice(_message.Message):
    __slots__ = ("header", "audio", "words", "total_samples")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    AUDIO_FIELD_NUMBER: _ClassVar[int]
    WORDS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_SAMPLES_FIELD_NUMBER: _ClassVar[int]
    header: _header_pb2.Header
    audio: Audio
    words: _containers.RepeatedCompositeFieldContainer[Word]
    total_samples: int
    def __init__(self, header: _Optional[_Union[_header_pb2.Header, _Mapping]] = ..., audio: _Optional[_Union[Audio, _Mapping]] = ..., words: _Optional[_Iterable[_Union[Word, _Mapping]]] = ..., total_samples: _Optional[int] = ...) -> None: ...

class AskMic(_message.Message):
    __slots__ = ("header", "from_sample", "to_sample")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    FROM_SAMPLE_FIELD_NUMBER: _ClassVar[int]
    TO_SAMPLE_FIELD_NUMBER: _ClassVar[int]
    header: _header_pb2.Header
    from_sample: int
    to_sample: int
    def __init__(self, header: _Optional[_Union[_header_pb2.Header, _Mapping]] = ..., from_sample: _Optional[int] = ..., to_sample: _Optional[int] = ...) -> None: ...

class AskMicAnswer(_message.Message):
    __slots__ = ("audio", "next_sample")
    AUDIO_FIELD_NUMBER: _ClassVar[int]
    NEXT_SAMPLE_FIELD_NUMBER: _ClassVar[int]
    audio: _containers.RepeatedCompositeFieldContainer[Audio]
    next_sample: int
    def __init__(self, audio: _Optional[_Iterable[_Union[Audio, _Mapping]]] = ..., next_sample: _Optional[int] = ...) -> None: ...
