"""Faults 37 to 39 in their own processes, with `-X dev -W error`: loops, threads and forks."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from _connection_faults import stall
from _http_server import RUNNING, TASK, HTTPServer, RawResponse

from _sockets import RawServer

# asyncio's debug mode notices what takes 0.1 s, which says something of the machine alone.
IS_SLOW = re.compile(r"Executing <(Task|Handle|TimerHandle) .* took [0-9.]+ seconds$")
HEAD = """
import asyncio, gc, os, sys, threading
from mj_async import AsyncMJClient, Dialect, RetryPolicy, errors

client = AsyncMJClient("sk-key", base_url=sys.argv[1], retry=RetryPolicy(attempts=1))

def refused(call):
    try:
        call()
    except errors.ClientStateError as error:
        return str(error)
    return "not refused"
"""
# Ends the process as an interpreter that collects every last object does.
TAIL = """
gc.collect()
print("done")
"""


def output_of(server: RawServer, script: str) -> list[str]:
    """Run a script against a server, check that it has no warnings, and return its lines."""
    with server:
        done = subprocess.run(
            [
                sys.executable,
                "-X",
                "dev",
                "-W",
                "error",
                "-c",
                HEAD + script + TAIL,
                server.base_url,
            ],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    complaints = [line for line in done.stderr.splitlines() if not IS_SLOW.match(line)]
    assert ([], 0) == (complaints, done.returncode)
    assert done.stdout.endswith("done\n")
    return done.stdout.splitlines()[:-1]


PENDING = """
async def main():
    waits = [asyncio.create_task(call) for call in (
        client.fetch_task("1", timeout=None), client.wait_for_task("1", timeout=None),
        client.image_seed("1"), client.list_tasks(["1", "2"]), anext(client.watch_task("1")),
    )]
    # A connect that the loop's end meets in its first turn is an "un-awaited coroutine" of anyio.
    while client.statistics().requests < len(waits):
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.2)
    {leave}

asyncio.run(main())
"""


@pytest.mark.parametrize("answers", [True, False], ids=["between polls", "in a request"])
def test_fault_37_a_loop_may_end_with_waits_pending(*, answers: bool) -> None:
    """If asyncio.run ends with pending waits, they are cancelled without a warning."""
    running = RawResponse(RUNNING, 200, b"Connection: close\r\n")
    server = HTTPServer(running) if answers else RawServer(stall)

    assert [] == output_of(server, PENDING.format(leave=""))


def test_fault_37_a_closed_client_leaves_pending_waits_an_error() -> None:
    """Pending waits end when the client is closed, before the event loop ends."""
    leave = (
        "await client.aclose()\n"
        "    ended = await asyncio.gather(*waits, return_exceptions=True)\n"
        "    print(*{type(error).__name__ for error in ended})"
    )
    script = PENDING.format(leave=leave)

    assert ["ClientStateError"] == output_of(RawServer(stall), script)


def test_fault_37_a_client_may_never_be_closed() -> None:
    """A client that is dropped before its first use causes no warning."""
    script = "del client\ngc.collect()\n"

    assert [] == output_of(HTTPServer(RawResponse(TASK)), script)


def test_fault_37_a_used_client_may_be_dropped_after_its_loop() -> None:
    """A used client that is not closed leaves no task; asyncio itself warns about its sockets."""
    script = """
import warnings

async def main():
    await asyncio.gather(*(client.fetch_task("1") for _ in range(3)))

asyncio.run(main())
warnings.filterwarnings("ignore", "unclosed (transport|.?socket)", ResourceWarning)
del client
"""

    assert [] == output_of(HTTPServer(RawResponse(TASK)), script)


def test_fault_37_an_interrupt_ends_a_wait() -> None:
    """A KeyboardInterrupt during a wait ends the event loop, and the client is closed."""
    script = """
import signal

async def main():
    asyncio.get_running_loop().call_later(0.2, signal.raise_signal, signal.SIGINT)
    async with client:
        await client.wait_for_task("1")

try:
    asyncio.run(main())
except KeyboardInterrupt:
    print("interrupted")
"""

    assert ["interrupted"] == output_of(HTTPServer(RawResponse(RUNNING)), script)


def test_fault_38_a_second_loop_is_refused() -> None:
    """A client in a second asyncio.run raises ClientStateError, and can be closed there."""
    script = """
async def again():
    for call in (client.fetch_task, client.image_seed, client.wait_for_task):
        try:
            await call("1")
        except errors.ClientStateError as error:
            print(error)
    try:
        async with client:
            print("entered")
    except errors.ClientStateError as error:
        print("another event loop" in str(error))
    await client.aclose()
    await client.aclose()

async def main():
    await client.fetch_task("1")

runner = asyncio.Runner()
runner.run(main())
asyncio.run(again())
runner.close()
"""

    lines = output_of(HTTPServer(RawResponse(TASK, 200, b"Connection: close\r\n")), script)

    assert 4 == len(lines)
    assert all("another event loop" in line for line in lines[:3])
    assert "True" == lines[3]


def test_fault_38_a_kept_connection_of_a_closed_loop_is_forgotten() -> None:
    """A client with kept connections of a closed event loop raises the same error."""
    script = """
import warnings

async def main():
    await client.fetch_task("1")

asyncio.run(main())
print(refused(lambda: asyncio.run(main())))
asyncio.run(client.aclose())
# The sockets were left open by the loop that is gone: that much is the caller's fault.
warnings.simplefilter("ignore", ResourceWarning)
"""

    lines = output_of(HTTPServer(RawResponse(TASK)), script)

    assert [True] == ["another event loop" in line for line in lines]


def test_fault_38_another_thread_is_refused() -> None:
    """A client in another thread raises ClientStateError; in its own event loop it works."""
    script = """
said = []

async def main():
    async with client:
        await client.fetch_task("1")
        async def elsewhere():
            await client.fetch_task("1")
        thread = threading.Thread(
            target=lambda: said.append(refused(lambda: asyncio.run(elsewhere())))
        )
        thread.start()
        await asyncio.to_thread(thread.join)
        print(said[0])
        print((await client.fetch_task("1")).id)

asyncio.run(main())
"""

    server = HTTPServer(RawResponse(TASK))
    lines = output_of(server, script)

    assert "another event loop" in lines[0]
    assert ("1", 1, 2) == (lines[1], server.connections, len(server.seen))


FORK = """
def child():
    async def use():
        for call in (client.fetch_task, client.image_seed, client.wait_for_task):
            await call("1")
    print(refused(lambda: asyncio.run(use())), flush=True)
    asyncio.run(client.aclose())
    print("closed", flush=True)

runner = asyncio.Runner()
runner.run(client.fetch_task("1"))
process = os.fork()
if process == 0:
    child()
    os._exit(0)
os.waitpid(process, 0)
print(runner.run(client.fetch_task("1")).id)
runner.run(client.aclose())
runner.close()
"""


def test_fault_39_a_child_may_not_use_its_parents_client() -> None:
    """After a fork the child's calls raise; it can close, and the parent's client works."""
    server = HTTPServer(RawResponse(TASK))
    lines = output_of(server, FORK)

    assert "before a fork" in lines[0]
    assert ["closed", "1"] == lines[1:]
    assert (1, 2) == (server.connections, len(server.seen))


def test_fault_39_a_fork_inside_a_loop_is_seen_too() -> None:
    """A child that was forked in a running event loop sends no byte."""
    script = """
async def main():
    asyncio.get_running_loop().slow_callback_duration = 60.0
    async with client:
        await client.fetch_task("1")
        process = os.fork()
        if process == 0:
            for call in (client.fetch_task, client.image_seed, client.wait_for_task):
                print(refused(lambda: call("1").send(None)), flush=True)
            os._exit(0)
        os.waitpid(process, 0)
        print((await client.fetch_task("1")).id)

asyncio.run(main())
"""
    server = HTTPServer(RawResponse(TASK))
    lines = output_of(server, script)

    assert all("before a fork" in line for line in lines[:3])
    assert ("1", 1, 2) == (lines[3], server.connections, len(server.seen))


def test_fault_39_a_child_makes_its_own_client() -> None:
    """A client that was made after the fork works in the child."""
    script = """
asyncio.run(client.aclose())
process = os.fork()
if process == 0:
    async def use():
        async with AsyncMJClient("sk-key", base_url=sys.argv[1]) as own:
            print((await own.fetch_task("1")).id, flush=True)
    asyncio.run(use())
    os._exit(0)
os.waitpid(process, 0)
"""

    assert ["1"] == output_of(HTTPServer(RawResponse(TASK)), script)
