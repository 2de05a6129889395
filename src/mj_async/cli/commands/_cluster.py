"""`mj-async cluster`: look up seeds on many machines that share a Redis."""

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

cluster = App(name="cluster", help="Look up seeds on many machines that share a Redis.")

JobName: TypeAlias = Annotated[str, Parameter(name="NAME")]


@Parameter(name="*", group="Redis")
@attrs.frozen(kw_only=True)
class RedisOptions:
    """The Redis that the machines share.

    Args:
        redis_url: The address of Redis; by default MJ_REDIS_URL, where other users cannot read
            the password.
    """

    redis_url: str | None = None

    @property
    def address(self) -> str:
        """The address of Redis.

        Raises:
            ConfigurationError: It is missing, or streaq is not installed.
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
        """Return the job.

        Raises:
            ConfigurationError: An option is missing or invalid.
        """
        address = self.address
        from mj_async.distributed import SeedJob  # noqa: PLC0415  # needs streaq

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
    """Submit the ids of a job. After an interrupt, run it again with the same ids.

    Args:
        name: The job's name.
        task_ids: The tasks' ids.
        source: A file of ids, one a line; "-" is standard input.
        chunk_size: The number of ids that a worker gets at once.
        dead: Submit again the dead ids: those that went to a worker five times without an answer.
        redis: The Redis that the machines share.
    """

    def work() -> int:
        job = redis.job(name, chunk_size)
        if dead and (task_ids or source is not None):
            raise errors.ConfigurationError(
                "--dead submits ids of the job again; next: give --dead or ids, not both"
            )
        from ._cluster_runs import send_again, submit_all  # noqa: PLC0415  # needs streaq

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
    """Look up the seeds of a job until each id has an outcome. Run it on any number of machines.

    Args:
        name: The job's name.
        concurrency: The number of seeds to look up at the same time.
        rate: Requests per second, for all workers with this gateway and key together.
        burst: The number of requests that may go out at once after a pause.
        ask_again_after: Seconds until an id without a final answer is asked for again.
        lease: Seconds until the ids of a worker that is silent go to another worker.
        gateway: The gateway.
        redis: The Redis that the machines share.
    """

    def begin() -> int:
        job = redis.job(name, lease=lease)
        from mj_async.distributed import SharedGate  # noqa: PLC0415  # needs streaq

        from ._cluster_runs import work_on  # noqa: PLC0415  # needs streaq

        # Workers that need no key share a gate as well.
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
    """Write the outcomes of a job into files until each submitted id has one.

    Args:
        name: The job's name.
        directory: The directory of the files.
        redis: The Redis that the machines share.
    """

    def begin() -> int:
        job = redis.job(name)
        from ._cluster_runs import collect_all  # noqa: PLC0415  # needs streaq

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
    """Show the progress of a job.

    Args:
        name: The job's name.
        watch: Show it until the job has ended.
        json: Print it as one line of JSON.
        redis: The Redis that the machines share.
    """

    def begin() -> int:
        job = redis.job(name)
        from ._cluster_runs import show_status  # noqa: PLC0415  # needs streaq

        return show_status(job, watch=watch, as_json=json)

    run_and_exit(begin)
