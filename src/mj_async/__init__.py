"""Async client for Midjourney-proxy gateways: fetch tasks, wait for them, look up seeds."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from . import errors as errors
    from ._client import AsyncMJClient as AsyncMJClient
    from ._config import DOCUMENTED as DOCUMENTED
    from ._config import Dialect as Dialect
    from ._config import Polling as Polling
    from ._config import RetryPolicy as RetryPolicy
    from ._http.gate import Gate as Gate
    from ._http.instrumentation import Statistics as Statistics
    from ._models import Button as Button
    from ._models import ImageSeed as ImageSeed
    from ._models import Task as Task
    from ._models import TaskList as TaskList
    from ._models import TaskStatus as TaskStatus
    from ._outcomes import SeedOutcome as SeedOutcome
    from ._outcomes import TaskOutcome as TaskOutcome
    from ._polling.poller import TaskPoller as TaskPoller
    from ._protocol.parse import parse_task as parse_task

    __version__: str

# Each name is imported at its first use, so that a program pays only for the names that it uses.
_MODULES = {
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
    "errors": "errors",
    "parse_task": "_protocol.parse",
}
__all__ = list(_MODULES)


if not TYPE_CHECKING:  # otherwise type checkers accept any name

    def __getattr__(name: str) -> object:
        if name == "__version__":
            return import_module("importlib.metadata").version("mj_async")
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module = import_module(f".{_MODULES[name]}", __name__)
        globals()[name] = module if name == "errors" else getattr(module, name)
        return globals()[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
