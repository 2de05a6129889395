"""`mj-async gateway`: a fake gateway to try things out, on this computer, in real time."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any, Literal, NoReturn, TypeAlias

import anyio

from mj_async import errors
from mj_async.testing import FakeGateway

from ..output._run import run_and_exit, run_async
from ..output._terminal import Terminal, echo_err

DialectName: TypeAlias = Literal["newapi", "onehub", "java", "csharp", "documented"]

_POLL_INTERVAL = 0.2


def _progress_timeline(seconds: float) -> list[tuple[float, str, str]]:
    steps = [(n / 10 * seconds, "IN_PROGRESS", f"{10 * n}%") for n in range(1, 10)]
    return [(0, "SUBMITTED", "0%"), *steps, (seconds, "SUCCESS", "100%")]


_DONE = [(0, "SUCCESS", "100%")]
# The commands below use these ids.
TASKS: Mapping[str, Mapping[str, Any]] = {
    "101": {"timeline": _DONE, "seed": "1387462901", "prompt": "a pig in a poke"},
    "102": {"timeline": _progress_timeline(30), "seed": "2718281828"},
    "103": {"timeline": _progress_timeline(120), "seed": "3141592653"},
    "104": {"timeline": _progress_timeline(900), "seed": "1618033988"},
    "105": {"timeline": [*_progress_timeline(60)[:5], (30, "FAILURE", "")]},
    "106": {"timeline": _DONE, "seed": "1414213562", "seed_asks": 2},
    "107": {"timeline": [(0, "IN_PROGRESS", "93%")]},
    "108": {"timeline": [(0, "MODAL", "0%")], "action": "CUSTOM_ZOOM"},
}
_COMMANDS = (
    ("fetch 101", "it has succeeded"),
    ("list {all} 999", "999 is unknown"),
    (
        "wait 102 103",
        "they succeed 30 and 120 s after the gateway has started, and 104 after 900 s",
    ),
    ("wait 105", "it fails after 30 s"),
    ("wait 107 --timeout 20", "it makes no progress"),
    ("wait 108", "it waits for an answer to a dialogue"),
    ("seed 101", "the seed alone"),
    ("seed 106", "the seed comes late: the first answer is a time-out, the second has it"),
    ("seeds {all} --output seeds.jsonl", "a line of JSON for each"),
)


def gateway(
    *,
    dialect: DialectName = "newapi",
    port: int = 0,
) -> NoReturn:
    """Serve a fake gateway on this computer, with tasks that make progress in real time.

    It prints commands to paste into another shell, and then each request. Ctrl-C ends it.

    Args:
        dialect: The gateway that it behaves like.
        port: The port; 0 is any free port.
    """
    run_and_exit(lambda: run_async(_serve, dialect, port))


async def _serve(dialect: DialectName, port: int) -> int:
    served = FakeGateway(dialect, started_at=time.time())
    for task_id, options in TASKS.items():
        served.add_task(task_id, **options)
    terminal = Terminal()
    async with AsyncExitStack() as stack:
        try:
            base_url = await stack.enter_async_context(served.serve(port=port))
        except OSError as error:
            message = f"cannot listen on port {port}: {error.strerror}; next: give another --port"
            raise errors.ConfigurationError(message) from error
        for line in shell_examples(base_url, served.api_key):
            terminal.print_line(line)
        echo_err(f"a fake gateway ({dialect}) listens on {base_url}; Ctrl-C ends it")
        return await _echo_requests(served)


def shell_examples(base_url: str, api_key: str) -> list[str]:
    """PURE: return lines to paste into a shell."""
    exports = [f"export MJ_BASE_URL={base_url}", f"export MJ_API_KEY={api_key}"]
    filled = [(f"mj-async {words}".format(all=" ".join(TASKS)), why) for words, why in _COMMANDS]
    return [*exports, *(f"{command}  # {why}" for command, why in filled)]


async def _echo_requests(served: FakeGateway) -> NoReturn:
    printed = 0
    while True:
        requests = served.requests[printed:]
        for request in requests:
            echo_err(f"{request.method} {request.target}")
        printed += len(requests)
        await anyio.sleep(_POLL_INTERVAL)
