from natter.v1 import control_pb2 as _control_pb2
from natter.v1 import header_pb2 as _header_pb2
from natter.v1 import tool_pb2 as _tool_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class LeaseClass(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LEASE_CLASS_UNSPECIFIED: _ClassVar[LeaseClass]
    LEASE_CLASS_NEW: _ClassVar[LeaseClass]
    LEASE_CLASS_TAKEOVER: _ClassVar[LeaseClass]

class SpeechEnds(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SPEECH_ENDS_UNSPECIFIED: _ClassVar[SpeechEnds]
    SPEECH_ENDS_FINALIZE: _ClassVar[SpeechEnds]
    SPEECH_ENDS_ENDPOINT: _ClassVar[SpeechEnds]
    SPEECH_ENDS_TURNS: _ClassVar[SpeechEnds]
LEASE_CLASS_UNSPECIFIED: LeaseClass
LEASE_CLASS_NEW: LeaseClass
LEASE_CLASS_TAKEOVER: LeaseClass
SPEECH_ENDS_UNSPECIFIED: SpeechEnds
SPEECH_ENDS_FINALIZE: SpeechEnds
SPEECH_ENDS_ENDPOINT: SpeechEnds
SPEECH_ENDS_TURNS: SpeechEnds

class Offer(_message.Message):
    __slots__ = ("session", "stage", "provider", "lease_class")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    LEASE_CLASS_FIELD_NUMBER: _ClassVar[int]
    session: str
    stage: _header_pb2.Stage
    provider: str
    lease_class: LeaseClass
    def __init__(self, session: _Optional[str] = ..., stage: _Optional[_Union[_header_pb2.Stage, str]] = ..., provider: _Optional[str] = ..., lease_class: _Optional[_Union[LeaseClass, str]] = ...) -> None: ...

class OfferAnswer(_message.Message):
    __slots__ = ("worker", "load", "room", "detail", "words")
    WORKER_FIELD_NUMBER: _ClassVar[int]
    LOAD_FIELD_NUMBER: _ClassVar[int]
    ROOM_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    WORDS_FIELD_NUMBER: _ClassVar[int]
    worker: str
    load: float
    room: bool
    detail: str
    words: str
    def __init__(self, worker: _Optional[str] = ..., load: _Optional[float] = ..., room: _Optional[bool] = ..., detail: _Optional[str] = ..., words: _Optional[str] = ...) -> None: ...

class Recognizer(_message.Message):
    __slots__ = ("speech_ends", "final_within_ms", "early_final", "stable_interims", "final_grace_ms")
    SPEECH_ENDS_FIELD_NUMBER: _ClassVar[int]
    FINAL_WITHIN_MS_FIELD_NUMBER: _ClassVar[int]
    EARLY_FINAL_FIELD_NUMBER: _ClassVar[int]
    STABLE_INTERIMS_FIELD_NUMBER: _ClassVar[int]
    FINAL_GRACE_MS_FIELD_NUMBER: _ClassVar[int]
    speech_ends: SpeechEnds
    final_within_ms: int
    early_final: bool
    stable_interims: bool
    final_grace_ms: int
    def __init__(self, speech_ends: _Optional[_Union[SpeechEnds, str]] = ..., final_within_ms: _Optional[int] = ..., early_final: _Optional[bool] = ..., stable_interims: _Optional[bool] = ..., final_grace_ms: _Optional[int] = ...) -> None: ...

class Lease(_message.Message):
    __slots__ = ("realm", "session", "stage", "term", "epoch", "lease_class", "provider", "settings", "credential", "record", "gateway", "from_sample")
    REALM_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    TERM_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    LEASE_CLASS_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    CREDENTIAL_FIELD_NUMBER: _ClassVar[int]
    RECORD_FIELD_NUMBER: _ClassVar[int]
    GATEWAY_FIELD_NUMBER: _ClassVar[int]
    FROM_SAMPLE_FIELD_NUMBER: _ClassVar[int]
    realm: str
    session: str
    stage: _header_pb2.Stage
    term: int
    epoch: int
    lease_class: LeaseClass
    provider: str
    settings: str
    credential: str
    record: str
    gateway: str
    from_sample: int
    def __init__(self, realm: _Optional[str] = ..., session: _Optional[str] = ..., stage: _Optional[_Union[_header_pb2.Stage, str]] = ..., term: _Optional[int] = ..., epoch: _Optional[int] = ..., lease_class: _Optional[_Union[LeaseClass, str]] = ..., provider: _Optional[str] = ..., settings: _Optional[str] = ..., credential: _Optional[str] = ..., record: _Optional[str] = ..., gateway: _Optional[str] = ..., from_sample: _Optional[int] = ...) -> None: ...

class Release(_message.Message):
    __slots__ = ("session", "stage", "term", "epoch")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    TERM_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    session: str
    stage: _header_pb2.Stage
    term: int
    epoch: int
    def __init__(self, session: _Optional[str] = ..., stage: _Optional[_Union[_header_pb2.Stage, str]] = ..., term: _Optional[int] = ..., epoch: _Optional[int] = ...) -> None: ...

class Ping(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class WorkerRequest(_message.Message):
    __slots__ = ("lease", "release", "ping", "tool", "cancel_tool", "summarize", "repeat")
    LEASE_FIELD_NUMBER: _ClassVar[int]
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    PING_FIELD_NUMBER: _ClassVar[int]
    TOOL_FIELD_NUMBER: _ClassVar[int]
    CANCEL_TOOL_FIELD_NUMBER: _ClassVar[int]
    SUMMARIZE_FIELD_NUMBER: _ClassVar[int]
    REPEAT_FIELD_NUMBER: _ClassVar[int]
    lease: Lease
    release: Release
    ping: Ping
    tool: _tool_pb2.Tool
    cancel_tool: CancelTool
    summarize: Summarize
    repeat: Repeat
    def __init__(self, lease: _Optional[_Union[Lease, _Mapping]] = ..., release: _Optional[_Union[Release, _Mapping]] = ..., ping: _Optional[_Union[Ping, _Mapping]] = ..., tool: _Optional[_Union[_tool_pb2.Tool, _Mapping]] = ..., cancel_tool: _Optional[_Union[CancelTool, _Mapping]] = ..., summarize: _Optional[_Union[Summarize, _Mapping]] = ..., repeat: _Optional[_Union[Repeat, _Mapping]] = ...) -> None: ...

class Repeat(_message.Message):
    __slots__ = ("header", "have")
    class HaveEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    HEADER_FIELD_NUMBER: _ClassVar[int]
    HAVE_FIELD_NUMBER: _ClassVar[int]
    header: _header_pb2.Header
    have: _containers.ScalarMap[str, int]
    def __init__(self, header: _Optional[_Union[_header_pb2.Header, _Mapping]] = ..., have: _Optional[_Mapping[str, int]] = ...) -> None: ...

class CancelTool(_message.Message):
    __slots__ = ("header", "id")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    header: _header_pb2.Header
    id: str
    def __init__(self, header: _Optional[_Union[_header_pb2.Header, _Mapping]] = ..., id: _Optional[str] = ...) -> None: ...

class Summarize(_message.Message):
    __slots__ = ("header", "context", "max_tokens")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    MAX_TOKENS_FIELD_NUMBER: _ClassVar[int]
    header: _header_pb2.Header
    context: _containers.RepeatedCompositeFieldContainer[_control_pb2.Message]
    max_tokens: int
    def __init__(self, header: _Optional[_Union[_header_pb2.Header, _Mapping]] = ..., context: _Optional[_Iterable[_Union[_control_pb2.Message, _Mapping]]] = ..., max_tokens: _Optional[int] = ...) -> None: ...

class WorkerAnswer(_message.Message):
    __slots__ = ("ok", "code", "words", "detail", "text", "recognizer")
    OK_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    WORDS_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    RECOGNIZER_FIELD_NUMBER: _ClassVar[int]
    ok: bool
    code: str
    words: str
    detail: str
    text: str
    recognizer: Recognizer
    def __init__(self, ok: _Optional[bool] = ..., code: _Optional[str] = ..., words: _Optional[str] = ..., detail: _Optional[str] = ..., text: _Optional[str] = ..., recognizer: _Optional[_Union[Recognizer, _Mapping]] = ...) -> None: ...

class Held(_message.Message):
    __slots__ = ("session", "stage", "term", "epoch", "sample", "turn", "attempt", "segment", "sent")
    class SentEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    SESSION_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    TERM_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_FIELD_NUMBER: _ClassVar[int]
    TURN_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    SEGMENT_FIELD_NUMBER: _ClassVar[int]
    SENT_FIELD_NUMBER: _ClassVar[int]
    session: str
    stage: _header_pb2.Stage
    term: int
    epoch: int
    sample: int
    turn: int
    attempt: int
    segment: int
    sent: _containers.ScalarMap[str, int]
    def __init__(self, session: _Optional[str] = ..., stage: _Optional[_Union[_header_pb2.Stage, str]] = ..., term: _Optional[int] = ..., epoch: _Optional[int] = ..., sample: _Optional[int] = ..., turn: _Optional[int] = ..., attempt: _Optional[int] = ..., segment: _Optional[int] = ..., sent: _Optional[_Mapping[str, int]] = ...) -> None: ...

class Beat(_message.Message):
    __slots__ = ("sender", "number", "held", "draining", "load", "link_losses")
    SENDER_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    DRAINING_FIELD_NUMBER: _ClassVar[int]
    LOAD_FIELD_NUMBER: _ClassVar[int]
    LINK_LOSSES_FIELD_NUMBER: _ClassVar[int]
    sender: str
    number: int
    held: _containers.RepeatedCompositeFieldContainer[Held]
    draining: bool
    load: float
    link_losses: int
    def __init__(self, sender: _Optional[str] = ..., number: _Optional[int] = ..., held: _Optional[_Iterable[_Union[Held, _Mapping]]] = ..., draining: _Optional[bool] = ..., load: _Optional[float] = ..., link_losses: _Optional[int] = ...) -> None: ...

class AskSignal(_message.Message):
    __slots__ = ("header", "secret", "method", "body")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    SECRET_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    header: _header_pb2.Header
    secret: str
    method: str
    body: str
    def __init__(self, header: _Optional[_Union[_header_pb2.Header, _Mapping]] = ..., secret: _Optional[str] = ..., method: _Optional[str] = ..., body: _Optional[str] = ...) -> None: ...

class AskSignalAnswer(_message.Message):
    __slots__ = ("status", "body")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    status: int
    body: str
    def __init__(self, status: _Optional[int] = ..., body: _Optional[str] = ...) -> None: ...

class LogEntry(_message.Message):
    __slots__ = ("number", "mic_sample", "monotonic_us", "kind", "content")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    MIC_SAMPLE_FIELD_NUMBER: _ClassVar[int]
    MONOTONIC_US_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    number: int
    mic_sample: int
    monotonic_us: int
    kind: str
    content: bytes
    def __init__(self, number: _Optional[int] = ..., mic_sample: _Optional[int] = ..., monotonic_us: _Optional[int] = ..., kind: _Optional[str] = ..., content: _Optional[bytes] = ...) -> None: ...

class LogBatch(_message.Message):
    __slots__ = ("header", "machine_version", "settings", "entries")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    MACHINE_VERSION_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    header: _header_pb2.Header
    machine_version: str
    settings: str
    entries: _containers.RepeatedCompositeFieldContainer[LogEntry]
    def __init__(self, header: _Optional[_Union[_header_pb2.Header, _Mapping]] = ..., machine_version: _Optional[str] = ..., settings: _Optional[str] = ..., entries: _Optional[_Iterable[_Union[LogEntry, _Mapping]]] = ...) -> None: ...
