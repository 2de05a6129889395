"""`mj-async cluster` in this process, and interrupted in its own process."""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from cli._commands import Ended, on_terminal, rendered
from distributed._redis_server import RedisServer, free_port
from mj_async.cli.commands._cluster_runs import (
    JobProgressView,
    format_counts,
    format_rate,
    format_total,
    status_rows,
)
from mj_async.distributed import JobProgress
from mj_async.testing import FakeGateway

from ._cluster_commands import ClusterCommands
from .test_seed_job import lines_of

Call = Callable[..., Ended]
DONE = [(0, "SUCCESS", "100%")]
IDS = [f"id-{number}" for number in range(12)]


def progress_with(**numbers: float) -> JobProgress:
    """Return the progress of a job of 100 ids."""
    none = dict.fromkeys(("seedless", "collected", "running", "dead", "workers"), 0)
    given = {"total": 100, "complete": True, "done": 0, "per_second": 0.0, **none, **numbers}
    return JobProgress(**given)  # type: ignore[arg-type]


def test_a_view_before_and_after() -> None:
    """The summary shows the last progress, or that there is none."""
    view = JobProgressView("night")
    assert "waiting for the first ids of night" == view.summary()
    assert [view.summary()] == rendered(view)
    view.progress = progress_with(done=50, per_second=2.0, dead=10, workers=1, seedless=3)

    assert "50 of 100, 2.0/s, 20s left: without a seed 3, dead 10, 1 worker" == view.summary()
    bar, counts = rendered(view, width=60)
    assert bar.startswith("━━━")
    assert bar.endswith(" 50/100 2.0/s, 20s left")
    assert "without a seed 3, dead 10, 1 worker" == counts


def test_words() -> None:
    """Counts of zero are left out, and so is a time that cannot be estimated."""
    assert "2 workers" == format_counts(progress_with(workers=2))
    assert "2.0/s" == format_rate(progress_with(per_second=2.0, done=90, dead=10))
    assert "2.0/s" == format_rate(progress_with(per_second=2.0, complete=False))
    assert "0.0/s" == format_rate(progress_with())
    assert ["100", "100+"] == [
        format_total(progress_with()),
        format_total(progress_with(complete=False)),
    ]
    assert ("ids", "100 (more are being submitted)") in list(
        status_rows("a", progress_with(complete=False))
    )


@pytest.fixture
def gateway(serve: Callable[[FakeGateway], str]) -> FakeGateway:
    """Return a gateway with seeds for all ids."""
    gateway = FakeGateway()
    for one in IDS:
        gateway.add_task(one, DONE, seed=f"7{one[3:]}")
    serve(gateway)
    return gateway


@pytest.fixture
def name(redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the name of a job; the environment has the address of its Redis."""
    monkeypatch.setenv("MJ_REDIS_URL", redis.url)
    return f"command.{uuid.uuid4().hex}"


@pytest.fixture
def commands(
    name: str, gateway: FakeGateway, redis: RedisServer, tmp_path: Path
) -> ClusterCommands:
    """Return the commands of a job, each in its own process."""
    return ClusterCommands(name, redis.url, gateway.base_url, tmp_path, gateway.api_key)


@pytest.mark.usefixtures("gateway")
def test_one_after_the_other(call: Call, name: str, tmp_path: Path) -> None:
    """Ids are submitted, looked up and collected, and each command shows the progress."""
    (tmp_path / "ids").write_text("\n".join(IDS))
    given = ("submit", name, "--from", str(tmp_path / "ids"), "--chunk-size", "5")
    submitted = call("cluster", *given)
    assert (0, "") == (submitted.code, submitted.out)
    assert "mj-async: 0 of 12, 0.0/s: 0 workers\n" == submitted.err
    assert 0 == call("cluster", *given).code
    assert 0 == call("cluster", "status", name).code
    worked = call("cluster", "work", name, "--lease", "5", "--concurrency", "3")
    assert 0 == worked.code
    assert "12 of 12" in worked.err
    collected = call("cluster", "collect", name, str(tmp_path / "out"))
    assert 0 == collected.code
    assert "collected 12, 0 workers" in collected.err

    assert IDS == [line["task_id"] for line in lines_of(tmp_path / "out")]
    status = call("cluster", "status", name)
    assert 0 == status.code
    assert re.search(rf"job +{name}\nids +12\ndone +12 \(.*/s\)\ncollected +12\n", status.out)
    as_json = call("cluster", "status", name, "--json")
    assert (12, True, 12, 12) == tuple(
        as_json.lines[0][one] for one in ("total", "complete", "done", "collected")
    )
    watched = call("cluster", "status", name, "--watch")
    assert (0, "") == (watched.code, watched.out)
    assert as_json.lines[0]["done"] == call(*_watched(name)).lines[0]["done"]


def _watched(name: str) -> tuple[str, ...]:
    return ("cluster", "status", name, "--watch", "--json")


@pytest.mark.usefixtures("gateway")
def test_ids_without_a_seed(call: Call, name: str, tmp_path: Path) -> None:
    """`collect` and `status` end with exit code 1 if ids have no seed."""
    assert 0 == call("cluster", "submit", name, IDS[0], "unknown").code
    assert 0 == call("cluster", "work", name).code
    assert 1 == call("cluster", "collect", name, str(tmp_path)).code
    assert 1 == call("cluster", "status", name).code
    assert 1 == call("cluster", "status", name, "--watch").code


@pytest.mark.usefixtures("gateway")
def test_the_dead(call: Call, name: str, redis: RedisServer) -> None:
    """Chunks that were delivered five times without a result are shown, and sent again."""
    assert 0 == call("cluster", "submit", name, IDS[0], IDS[1]).code
    redis.ask("hset", f"mj_async:job:{name}:deliveries", "0", "5")
    worked = call("cluster", "work", name)
    assert (0, True) == (worked.code, "dead 2" in worked.err)
    assert 1 == call("cluster", "status", name).code
    again = call("cluster", "submit", name, "--dead")
    assert (0, "mj-async: 2 ids were submitted again\n") == (again.code, again.err)
    assert 0 == call("cluster", "work", name).code
    assert 0 == call("cluster", "status", name).code


@pytest.mark.parametrize(
    ("message", "arguments"),
    [
        ("there is no job", ["status", "NAME"]),
        ("there is no job", ["status", "NAME", "--watch"]),
        ("there is no job", ["submit", "NAME", "--dead"]),
        ("next: give --dead or ids, not both", ["submit", "NAME", "1", "--dead"]),
        ("next: give --dead or ids, not both", ["submit", "NAME", "--from", "x", "--dead"]),
        ("no ids: give some", ["submit", "NAME"]),
        ("must have 1 to 100 of A-Z", ["status", "a b"]),
        ("chunk_size", ["submit", "NAME", "1", "--chunk-size", "0"]),
        ("concurrency", ["work", "NAME", "--concurrency", "0"]),
        ("lease", ["work", "NAME", "--lease", "0"]),
        ("cannot write to /proc/1/x", ["collect", "NAME", "/proc/1/x"]),
        ("not the address of a Redis", ["status", "NAME", "--redis-url", "localhost"]),
        (
            "cannot be reached",
            ["status", "NAME", "--redis-url", f"redis://localhost:{free_port()}"],
        ),
    ],
)
@pytest.mark.usefixtures("gateway")
def test_bad_input(call: Call, name: str, message: str, arguments: list[str]) -> None:
    """Invalid input is explained in one line, with exit code 2."""
    ended = call("cluster", *(name if one == "NAME" else one for one in arguments))

    assert (2, "") == (ended.code, ended.out)
    assert message in ended.err.splitlines()[0]
    assert "Traceback" not in ended.err


def test_no_redis_url(call: Call) -> None:
    """Without an address of Redis, the command says how to set it."""
    ended = call("cluster", "status", "night")

    assert (2, "mj-async: no Redis: give --redis-url, or set MJ_REDIS_URL\n") == (
        ended.code,
        ended.err,
    )


def test_a_bad_line_from_a_pipe(call: Call, name: str, tmp_path: Path) -> None:
    """A bad line that is read late ends the submission, which is not complete."""
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_text, args=("1\n2\x07\n3\n",))
    writer.start()
    ended = call("cluster", "submit", name, "--from", str(tmp_path / "pipe"))
    writer.join()

    assert 2 == ended.code
    assert "the ids after that line were not submitted" in ended.err
    assert not call("cluster", "status", name, "--json").lines[0]["complete"]


@pytest.mark.usefixtures("gateway")
def test_a_full_disk(call: Call, name: str, tmp_path: Path) -> None:
    """A part that cannot be written ends `collect` with one line; it stays in Redis."""
    assert 0 == call("cluster", "submit", name, *IDS).code
    assert 0 == call("cluster", "work", name).code
    (tmp_path / "part-000000.tmp").mkdir()
    ended = call("cluster", "collect", name, str(tmp_path))
    assert 1 == ended.code
    assert (
        f"cannot write to {tmp_path}: Is a directory; next: free some space, then run it again"
        in ended.err
    )
    (tmp_path / "part-000000.tmp").rmdir()

    assert 0 == call("cluster", "collect", name, str(tmp_path)).code


def test_a_refused_key(call: Call, name: str, gateway: FakeGateway) -> None:
    """A refused key ends `work` with exit code 3, and the message says how to continue."""
    assert 0 == call("cluster", "submit", name, IDS[0]).code
    gateway.fail_next(9, like="key")
    ended = call("cluster", "work", name)

    assert 3 == ended.code
    assert "next: run the same command again to continue" in ended.err


def script_runs(redis: RedisServer) -> int:
    """Return how many scripts were run; all commands read the state of the job by one."""
    statistics = "\n".join(redis.ask("info", "commandstats"))
    return sum(map(int, re.findall(r"cmdstat_eval:calls=(\d+)", statistics)))


@pytest.mark.parametrize(
    ("command", "number"),
    [
        ("submit", signal.SIGINT),
        ("work", signal.SIGINT),
        ("work", signal.SIGTERM),
        ("collect", signal.SIGTERM),
        ("status", signal.SIGINT),
    ],
)
def test_interrupted(
    commands: ClusterCommands, redis: RedisServer, command: str, number: signal.Signals
) -> None:
    """Ctrl-C and SIGTERM end each command with exit code 130 and one line."""
    arguments = {
        "submit": ["--from", "-"],
        "work": [],
        "collect": [str(commands.output)],
        "status": ["--watch"],
    }
    assert 0 == commands.run("submit", commands.name, *IDS).code
    redis.ask("hset", f"mj_async:job:{commands.name}", "complete", "0", "waiting", str(2**25))
    redis.ask(
        "hset", f"mj_async:job:{commands.name}", *("fed", "0") * (command == "submit"), "x", "x"
    )
    reading, writing = os.pipe()
    before = script_runs(redis)
    process = commands.start(command, *arguments[command], stdin=reading)
    os.write(writing, "\n".join([*IDS, *(f"more-{one}" for one in range(500))]).encode())
    while script_runs(redis) < before + 4 and process.poll() is None:
        time.sleep(0.05)
    time.sleep(0.3)
    assert None is process.poll(), commands.output_text()
    process.send_signal(number)
    assert 130 == process.wait(timeout=20), commands.output_text()
    os.close(reading)
    os.close(writing)

    text = commands.output_text()
    assert "interrupted: 0 of 12+, 0.0/s" in text or "interrupted: 12 of 12+" in text
    assert "Traceback" not in text
    assert "Exception ignored" not in text


def test_watched_over_a_restart(call: Call, redis_server: RedisServer) -> None:
    """`status --watch` continues while Redis is started again, and ends if it stays away."""
    address = ("--redis-url", redis_server.url)
    assert 0 == call("cluster", "submit", "night", *IDS, *address).code

    def disturb() -> None:
        time.sleep(1.5)
        redis_server.kill()
        time.sleep(1.5)
        redis_server.start()
        time.sleep(1.5)
        redis_server.kill()

    disturbance = threading.Thread(target=disturb)
    disturbance.start()
    ended = call("cluster", "status", "night", "--watch", "--json", *address)
    disturbance.join()

    assert (2, "") == (ended.code, ended.out)
    assert "cannot be reached" in ended.err


def test_watched_to_the_end(call: Call, name: str, redis: RedisServer) -> None:
    """`status --watch` ends when all has been collected."""
    assert 0 == call("cluster", "submit", name, *IDS).code
    done = ("done_ids", "12", "done", "1", "collected_ids", "12")
    later = threading.Timer(1.5, redis.ask, ["hset", f"mj_async:job:{name}", *done])
    later.start()
    ended = call("cluster", "status", name, "--watch")
    later.join()

    assert 0 == ended.code
    assert "12 of 12" in ended.err


def test_without_the_extra(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """If streaq is not installed, the command says what to install."""
    monkeypatch.setitem(sys.modules, "streaq", None)
    ended = call("cluster", "status", "night")

    assert 2 == ended.code
    assert "next: python -m pip install 'mj_async[cli,distributed]'" in ended.err


def test_on_a_terminal(call: Call, commands: ClusterCommands, redis: RedisServer) -> None:
    """On a terminal, there is a progress bar, with the counts below."""
    assert 0 == call("cluster", "submit", commands.name, *IDS).code
    assert 0 == call("cluster", "work", commands.name).code
    redis.ask("hset", f"mj_async:job:{commands.name}", "collected_ids", "0")

    def act(seen: str, terminal: int) -> None:
        if "12/12" in seen:
            os.write(terminal, b"\x03")

    shown = on_terminal("cluster", "status", commands.name, "--watch", act=act)

    assert 130 == shown.code
    assert "12/12" in shown.text
