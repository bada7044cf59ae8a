from natter.v1 import header_pb2 as _header_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ToolOutcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TOOL_OUTCOME_UNSPECIFIED: _ClassVar[ToolOutcome]
    TOOL_OUTCOME_RESULT: _ClassVar[ToolOutcome]
    TOOL_OUTCOME_ERROR: _ClassVar[ToolOutcome]
    TOOL_OUTCOME_TIMEOUT: _ClassVar[ToolOutcome]
    TOOL_OUTCOME_CANCELLED: _ClassVar[ToolOutcome]
    TOOL_OUTCOME_UNKNOWN: _ClassVar[ToolOutcome]
TOOL_OUTCOME_UNSPECIFIED: ToolOutcome
TOOL_OUTCOME_RESULT: ToolOutcome
TOOL_OUTCOME_ERROR: ToolOutcome
TOOL_OUTCOME_TIMEOUT: ToolOutcome
TOOL_OUTCOME_CANCELLED: ToolOutcome
TOOL_OUTCOME_UNKNOWN: ToolOutcome

class ToolCall(_message.Message):
    __slots__ = ("id", "name", "arguments")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    ARGUMENTS_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    arguments: str
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., arguments: _Optional[str] = ...) -> None: ...

class ToolResult(_message.Message):
    __slots__ = ("id", "name", "outcome", "result")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    outcome: ToolOutcome
    result: str
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., outcome: _Optional[_Union[ToolOutcome, str]] = ..., result: _Optional[str] = ...) -> None: ...

class Tool(_message.Message):
    __slots__ = ("header", "call", "result", "read_only", "idempotent")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    CALL_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    READ_ONLY_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENT_FIELD_NUMBER: _ClassVar[int]
    header: _header_pb2.Header
    call: ToolCall
    result: ToolResult
    read_only: bool
    idempotent: bool
    def __init__(self, header: _Optional[_Union[_header_pb2.Header, _Mapping]] = ..., call: _Optional[_Union[ToolCall, _Mapping]] = ..., result: _Optional[_Union[ToolResult, _Mapping]] = ..., read_only: _Optional[bool] = ..., idempotent: _Optional[bool] = ...) -> None: ...
