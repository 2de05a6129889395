"""`mj-async cluster`: bulk seeds on many machines, which share a Redis."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, TypeAlias

import attrs
from cyclopts import App, Parameter

from mj_async import errors

from .._options import GatewayOptions, Source, TaskId, max_connections_for
from ..output._run import run_and_exit

if TYPE_CHECKING:
    from mj_async.distributed import SeedJob

cluster = App(name="cluster", help="Look up seeds on many machines, which share a Redis.")

JobName: TypeAlias = Annotated[str, Parameter(name="NAME")]


@Parameter(name="*", group="Redis")
@attrs.frozen(kw_only=True)
class RedisOptions:
    """Where the machines meet.

    Args:
        redis_url: The address of Redis; else MJ_REDIS_URL, where others do not see a password.
    """

    redis_url: str | None = None

    @property
    def address(self) -> str:
        """The address.

        Raises:
            ConfigurationError: There is none, or nothing that could use it.
        """
        if find_spec("streaq") is None:
            raise errors.ConfigurationError(
                "cluster needs streaq; next: python -m pip install 'mj_async[cli,distributed]'"
            )
        found = self.redis_url or os.environ.get("MJ_REDIS_URL", "")
        if not found:
            raise errors.ConfigurationError("no Redis: give --redis-url, or set MJ_REDIS_URL")
        return found

    def job(self, name: str, chunk_size: int = 500, lease: float = 15.0) -> SeedJob:
        """Make the job.

        Raises:
            ConfigurationError: It cannot be.
        """
        address = self.address
        from mj_async.distributed import SeedJob  # noqa: PLC0415  # only now is it known to work

        return SeedJob(address, name, chunk_size=chunk_size, lease=lease)


@cluster.command
def submit(  # options
    name: JobName,
    /,
    *task_ids: TaskId,
    source: Source = None,
    chunk_size: int = 500,
    dead: bool = False,
    redis: RedisOptions = RedisOptions(),
) -> NoReturn:
    """Hand in the ids of a job; run again with the same ids, it goes on.

    Args:
        name: The job's name.
        task_ids: The tasks' ids.
        source: A file with ids, one a line; "-" reads standard input.
        chunk_size: How many ids a worker is given at once.
        dead: Send the ids again that were delivered five times without an answer.
        redis: Where the machines meet.
    """

    def work() -> int:
        job = redis.job(name, chunk_size)
        if dead and (task_ids or source is not None):
            raise errors.ConfigurationError(
                "--dead sends ids of the job again, and takes none; next: give one or the other"
            )
        from ._cluster_runs import send_again, submit_all  # noqa: PLC0415  # it needs streaq

        return send_again(job) if dead else submit_all(job, task_ids, source)

    run_and_exit(work)


@cluster.command
def work(  # noqa: PLR0913  # options
    name: JobName,
    /,
    *,
    concurrency: int = 32,
    rate: float | None = None,
    burst: int = 50,
    ask_again_after: float = 30.0,
    lease: float = 15.0,
    gateway: GatewayOptions = GatewayOptions(),  # noqa: B008
    redis: RedisOptions = RedisOptions(),
) -> NoReturn:
    """Look up what was submitted, until all of it has an outcome; on any number of machines.

    Args:
        name: The job's name.
        concurrency: How many seeds are asked for at once.
        rate: Requests a second, of all workers with this gateway and key together.
        burst: How many requests may go out at once after a pause.
        ask_again_after: Seconds until an id in trouble is asked for again.
        lease: Seconds after which the ids of a silent worker go to another.
        gateway: How the gateway is reached.
        redis: Where the machines meet.
    """

    def begin() -> int:
        job = redis.job(name, lease=lease)
        from mj_async.distributed import SharedGate  # noqa: PLC0415  # it needs streaq

        from ._cluster_runs import work_on  # noqa: PLC0415  # it needs streaq

        # All who need no key share a gate, too.
        api_key = "none" if gateway.auth == "none" else gateway.read_api_key()
        address = gateway.base_url
        gate = SharedGate(redis.address, base_url=address, api_key=api_key, rate=rate, burst=burst)
        client = gateway.make_client(max_connections=max_connections_for(concurrency), gate=gate)
        return work_on(job, client, concurrency=concurrency, ask_again_after=ask_again_after)

    run_and_exit(begin)


@cluster.command
def collect(
    name: JobName,
    directory: Path,
    /,
    *,
    redis: RedisOptions = RedisOptions(),
) -> NoReturn:
    """Write the lines of a job into files, until all that was submitted is there.

    Args:
        name: The job's name.
        directory: Where the files go.
        redis: Where the machines meet.
    """

    def begin() -> int:
        job = redis.job(name)
        from ._cluster_runs import collect_all  # noqa: PLC0415  # it needs streaq

        return collect_all(job, directory)

    run_and_exit(begin)


@cluster.command
def status(
    name: JobName,
    /,
    *,
    watch: bool = False,
    json: bool = False,
    redis: RedisOptions = RedisOptions(),
) -> NoReturn:
    """Show how far a job has come.

    Args:
        name: The job's name.
        watch: Show it until the job is finished.
        json: Print it as a line of JSON.
        redis: Where the machines meet.
    """

    def begin() -> int:
        job = redis.job(name)
        from ._cluster_runs import show_status  # noqa: PLC0415  # it needs streaq

        return show_status(job, watch=watch, as_json=json)

    run_and_exit(begin)
