"""One process of a stage: takes leases, runs a session object for each, beats, drains."""

from natter_common.worker.definition import BadLeaseError, Input, StageDefinition
from natter_common.worker.outlet import Outlet
from natter_common.worker.session import Reached, StageSession
from natter_common.worker.worker import Worker, run_worker

__all__ = [
    "BadLeaseError",
    "Input",
    "Outlet",
    "Reached",
    "StageDefinition",
    "StageSession",
    "Worker",
    "run_worker",
]
