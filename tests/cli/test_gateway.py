"""`mj-async gateway`: a gateway to play with, run as a user runs it."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable
from subprocess import PIPE
from typing import Any

import pytest

from mj_async import Polling, errors
from mj_async.cli._app import app
from mj_async.cli.commands._gateway import TASKS, shell_examples
from mj_async.testing import FakeGateway

from ._commands import Ended, run, start

BASE_URL, KEY = "http://127.0.0.1:8123", "sk-fake-gateway-key"


def test_it_serves_until_it_is_interrupted() -> None:
    """It prints its address and each request, and Ctrl-C ends it with 130."""
    process = start("gateway", "--dialect", "csharp", stdout=PIPE, stderr=PIPE)
    with process:
        assert process.stdout is not None
        assert process.stderr is not None
        exports = (process.stdout.readline().removeprefix("export ").strip() for _ in range(2))
        environment = dict(line.split("=", 1) for line in exports)
        said = [process.stderr.readline()]
        listed = run("list", "101", "107", "108", "999", **environment)
        said.append(process.stderr.readline())
        process.send_signal(signal.SIGINT)
        rest = process.communicate(timeout=30)

    assert 1 == listed.code
    assert ["SUCCESS", "IN_PROGRESS", "MODAL", "TaskNotFoundError"] == [
        line.split()[1] for line in listed.out.splitlines()
    ]
    address = environment["MJ_BASE_URL"]
    assert f"mj-async: a fake gateway (csharp) listens on {address}; Ctrl-C ends it\n" == said[0]
    assert "mj-async: POST /mj/task/list-by-condition\n" == said[1]
    assert 130 == process.returncode
    assert "Traceback" not in rest[1]


def test_a_taken_port_is_one_line(call: Callable[..., Ended]) -> None:
    """A port in use is exit 2."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        ended = call("gateway", "--port", str(port))

    problem = "Address already in use; next: give another --port"
    expected = f"mj-async: cannot listen on port {port}: {problem}\n"
    assert Ended(2, "", expected) == ended


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--port", "65536"), "port must be from 0 to 65535, not 65536"),
        (("--port", "-1"), "port must be from 0 to 65535, not -1"),
        (("--port", "http"), "Invalid value for --port"),
        (("--dialect", "new-api"), 'Invalid value "new-api" for --dialect'),
    ],
)
def test_what_cannot_be_served_is_refused(
    arguments: tuple[str, ...], words: str, call: Callable[..., Ended]
) -> None:
    """An invalid port or dialect is exit 2, and one line."""
    ended = call("gateway", *arguments)

    assert (2, "") == (ended.code, ended.out)
    assert words in ended.err
    assert 1 == ended.err.count("\n")


def test_its_lines_can_be_pasted() -> None:
    """The lines are for a shell: the address, the key, and commands that exist."""
    exports, commands = shell_examples(BASE_URL, KEY)[:2], shell_examples(BASE_URL, KEY)[2:]

    assert [f"export MJ_BASE_URL={BASE_URL}", f"export MJ_API_KEY={KEY}"] == exports
    for line in commands:
        name, *words = line.partition("  #")[0].split()
        assert "mj-async" == name
        app.parse_args(words, exit_on_error=False, print_error=False)


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_its_tasks_are_at_different_stages() -> None:
    """Its tasks succeed, make progress, fail, stand still, or ask back; one seed comes late."""
    gateway = FakeGateway()
    for task_id, options in TASKS.items():
        gateway.add_task(task_id, **options)
    ended: dict[str, Any] = {}

    async with gateway.client(polling=Polling(interval=1, factor=1, jitter=0)) as client:
        seen = [task.status for task in await client.list_tasks(list(TASKS))]
        async with client.wait_for_tasks(list(TASKS), timeout=1000) as outcomes:
            async for one in outcomes:
                ended[one.task_id] = (type(one.error), round(gateway.now))
        with pytest.raises(errors.SeedUnavailableError, match="do_request_failed"):
            await client.image_seed("106", timeout=10)
        late = await client.image_seed("106")

    moving, stuck = ["SUBMITTED"] * 4, ["IN_PROGRESS", "MODAL"]
    nothing = type(None)
    assert ["SUCCESS", *moving, "SUCCESS", *stuck] == seen
    assert {
        "101": (nothing, 0),
        "102": (nothing, 30),
        "103": (nothing, 120),
        "104": (nothing, 900),
        "105": (errors.TaskFailedError, 30),
        "106": (nothing, 0),
        "107": (errors.WaitTimeoutError, 1000),
        "108": (errors.TaskNeedsInputError, 0),
    } == ended
    assert "1414213562" == late.seed
