"""Async client for Midjourney-proxy gateways: fetch tasks, wait for them, look up seeds."""

from . import errors
from ._answer import parse_task
from ._client import AsyncMJClient
from ._models import Button, ImageSeed, Task, TaskList, TaskStatus
from ._outcomes import SeedOutcome, TaskOutcome
from ._poller import TaskPoller
from ._settings import DOCUMENTED, Dialect, Polling, RetryPolicy
from ._statistics import Statistics

__all__ = [
    "DOCUMENTED",
    "AsyncMJClient",
    "Button",
    "Dialect",
    "ImageSeed",
    "Polling",
    "RetryPolicy",
    "SeedOutcome",
    "Statistics",
    "Task",
    "TaskList",
    "TaskOutcome",
    "TaskPoller",
    "TaskStatus",
    "errors",
    "parse_task",
]


def __getattr__(name: str) -> str:
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415  # costs an import's time

        return version("mj_async")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
