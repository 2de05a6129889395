"""20,000 ids; worker, collector, submitter and Redis are killed (SIGKILL) at random times.

Three runs unless `MJ_KILL_RUNS` says otherwise: `MJ_KILL_RUNS=20 nox -s distributed -- -k lose -s`
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from distributed._redis_server import RedisServer, free_port

from ._cluster_commands import ClusterCommands
from ._reference_gateway import ReferenceServer, asked_for, expected_outcome

RUNS = int(os.environ.get("MJ_KILL_RUNS", "3"))
IDS = [str(100_000 + number) for number in range(20_000)]
CHUNK, CHUNKS_AT_ONCE, WORKERS = 250, 2, 3
LIMIT, RATE = 1500, 1300
LEASE = 3
TIMEOUT = 150.0

Process = subprocess.Popen[bytes]


@pytest.fixture
def gateway() -> Iterator[ReferenceServer]:
    """Return the reference gateway, with a limit."""
    server = ReferenceServer(free_port(), limit=LIMIT)
    yield server
    server.kill()


class JobProcesses:
    """All processes of one job; a killed process is started again.

    Args:
        cluster: The commands.
        redis: Their Redis.
        ids: The file of the ids.
        rate: Requests per second, of all workers together.
    """

    def __init__(
        self, cluster: ClusterCommands, redis: RedisServer, ids: Path, *, rate: float = RATE
    ) -> None:
        self.cluster, self.redis = cluster, redis
        work = ("--rate", str(rate), "--lease", str(LEASE), "--concurrency", "32")
        self._begin: dict[str, Callable[[], Process]] = {
            "submit": lambda: cluster.submit(ids, "--chunk-size", str(CHUNK)),
            "collect": cluster.collect,
            **{f"work {one}": lambda: cluster.work(*work) for one in range(WORKERS)},
        }
        self.running = {name: begin() for name, begin in self._begin.items()}
        self.codes: dict[str, int] = {}

    def kill(self, name: str) -> None:
        """Kill a process and start it again, as a service manager does."""
        if name == "redis":
            self.redis.kill()
            time.sleep(0.5)
            self.redis.start()
            return
        self.running[name].kill()
        self.running[name].wait()
        self.running[name] = self._begin[name]()

    def wait(self) -> dict[str, int]:
        """Wait until all have ended, and return their exit codes."""
        give_up = time.monotonic() + TIMEOUT
        for name, process in self.running.items():
            self.codes[name] = process.wait(max(1, give_up - time.monotonic()))
        return self.codes

    def end(self) -> None:
        """Kill all."""
        for process in self.running.values():
            process.kill()
            process.wait()


@pytest.mark.parametrize("run", range(RUNS))
def test_kills_lose_nothing(
    run: int, gateway: ReferenceServer, redis_server: RedisServer, tmp_path: Path
) -> None:
    """Each id has its expected outcome, and only requests in progress are sent again."""
    (tmp_path / "ids").write_text("\n".join(IDS))
    cluster = ClusterCommands(f"kills-{run}", redis_server.url, gateway.base_url, tmp_path)
    processes = JobProcesses(cluster, redis_server, tmp_path / "ids")
    rng = random.Random()
    targets = ["submit", "collect", "redis", *(f"work {one}" for one in range(WORKERS))]
    rng.shuffle(targets)
    began = time.monotonic()
    try:
        for target in targets:
            time.sleep(rng.uniform(0.3, 2.5))
            processes.kill(target)
        codes = processes.wait()
    except subprocess.TimeoutExpired:
        pytest.fail(cluster.output_text())
    finally:
        processes.end()

    took, counts = time.monotonic() - began, gateway.counts()
    print(f"run {run}: {took:.0f} s, killed {', '.join(targets)}: {counts}")  # noqa: T201
    check(cluster, codes, IDS)
    # The kill of a worker repeats its own requests, the kill of Redis those of all workers.
    at_most = (WORKERS + WORKERS) * CHUNKS_AT_ONCE * CHUNK
    assert asked_for(IDS) <= counts["seeds"] <= asked_for(IDS) + at_most
    assert 0 == counts.get("refused", 0)


def check(cluster: ClusterCommands, codes: dict[str, int], ids: list[str]) -> None:
    """Check that each id has its expected outcome, in order, and that the exit codes are right."""
    assert {**dict.fromkeys(codes, 0), "collect": 1} == codes, cluster.output_text()
    found = [
        (line["task_id"], line["seed"], (line["error"] or {}).get("type"))
        for line in cluster.lines()
    ]
    assert [(one, *expected_outcome(one)) for one in ids] == found


def test_a_worker_that_was_stopped(
    gateway: ReferenceServer, redis_server: RedisServer, tmp_path: Path
) -> None:
    """A worker that is stopped for longer than its lease, and continues, does no harm."""
    ids = IDS[:6000]
    (tmp_path / "ids").write_text("\n".join(ids))
    cluster = ClusterCommands("stopped", redis_server.url, gateway.base_url, tmp_path)
    processes = JobProcesses(cluster, redis_server, tmp_path / "ids", rate=400)
    try:
        while gateway.counts().get("seeds", 0) < 500:
            time.sleep(0.05)
        processes.running["work 0"].send_signal(signal.SIGSTOP)
        time.sleep(2 * LEASE + 1)
        processes.running["work 0"].send_signal(signal.SIGCONT)
        codes = processes.wait()
    finally:
        processes.end()

    check(cluster, codes, ids)
    at_most = CHUNKS_AT_ONCE * CHUNK
    assert asked_for(ids) <= gateway.counts()["seeds"] <= asked_for(ids) + at_most
