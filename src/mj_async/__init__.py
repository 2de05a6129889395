"""Async client for Midjourney-proxy gateways: fetch tasks, wait for them, look up seeds."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from . import errors
    from ._client import AsyncMJClient
    from ._config import DOCUMENTED, Dialect, Polling, RetryPolicy
    from ._http.gate import Gate
    from ._http.instrumentation import Statistics
    from ._models import Button, ImageSeed, Task, TaskList, TaskStatus
    from ._outcomes import SeedOutcome, TaskOutcome
    from ._polling.poller import TaskPoller
    from ._protocol.parse import parse_task

    __version__: str

__all__ = [
    "DOCUMENTED",
    "AsyncMJClient",
    "Button",
    "Dialect",
    "Gate",
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


# Each is imported when it is first asked for, so that a program pays for what it uses.
_ROOMS = {
    "DOCUMENTED": "_config",
    "AsyncMJClient": "_client",
    "Button": "_models",
    "Dialect": "_config",
    "Gate": "_http.gate",
    "ImageSeed": "_models",
    "Polling": "_config",
    "RetryPolicy": "_config",
    "SeedOutcome": "_outcomes",
    "Statistics": "_http.instrumentation",
    "Task": "_models",
    "TaskList": "_models",
    "TaskOutcome": "_outcomes",
    "TaskPoller": "_polling.poller",
    "TaskStatus": "_models",
    "parse_task": "_protocol.parse",
}


if not TYPE_CHECKING:  # a type checker would take any name for one of ours

    def __getattr__(name: str) -> object:
        if name == "__version__":
            return import_module("importlib.metadata").version("mj_async")
        if name == "errors":
            return import_module(".errors", __name__)
        if name not in _ROOMS:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = getattr(import_module(f".{_ROOMS[name]}", __name__), name)
        return globals()[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
