"""Whether the caller is still there, and how long a call may get: pure."""

from natter_gateway.attendance.attendance import Attendance, AttendanceSettings, Close, Output, Say
from natter_gateway.attendance.states import Asked, Asking, Engaged, Leaving, Left, Reason, State, Waiting

__all__ = [
    "Asked",
    "Asking",
    "Attendance",
    "AttendanceSettings",
    "Close",
    "Engaged",
    "Leaving",
    "Left",
    "Output",
    "Reason",
    "Say",
    "State",
    "Waiting",
]
