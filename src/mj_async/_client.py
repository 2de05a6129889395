"""The client: its options, and one method for each call."""

from __future__ import annotations

import ssl
import warnings
from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import TYPE_CHECKING

import attrs
import httpx

from . import _config, errors
from ._clock import Clock
from ._config import Dialect, Polling, RetryPolicy, Settings
from ._credentials import Secret, exposes_key, find_base_url, find_key, find_proxy
from ._gateway.auth import Authenticator
from ._gateway.endpoints import BATCH_SIZE, Gateway
from ._http.gate import BackoffGate, Gate, check_gate
from ._http.instrumentation import Statistics
from ._http.pool import make_pool
from ._http.session import Session
from ._lifecycle import Lifecycle
from ._models import ImageSeed, Task, TaskList
from ._outcomes import SeedOutcome, TaskOutcome
from ._polling.poller import TaskPoller, TaskWaits, WaitCalls
from ._polling.watch import WaitContext, Watch, poll_one
from ._seeds.lookup import SeedLookup
from ._seeds.planner import SeedOptions
from ._seeds.source import TaskIds

if TYPE_CHECKING:
    from typing import Any, Self


class AsyncMJClient(WaitCalls):
    """An async client of one Midjourney-proxy gateway.

    Use it as `async with AsyncMJClient(…) as client`, or call `aclose()` at the end. One client
    serves a whole program: all tasks of one event loop may share it, on asyncio and on trio. Its
    calls only read, so a request may be sent twice without harm.

    Args:
        api_key: The gateway's key; else `MJ_API_KEY` of the environment.
        base_url: The gateway's address, such as `https://gateway.example`; else `MJ_BASE_URL`.
            A path in it is kept, and a `/mj` at its end is allowed.
        dialect: What differs between gateways; by default it is found out.
        polling: The schedule of every wait of this client.
        retry: How often a failed request is sent again.
        request_timeout: Seconds for one attempt, from holding a connection to the last byte.
        seed_timeout: The same for `image_seed`: gateways wait up to 60 s for an answer.
        max_connections: The most requests at once. Seeds hold at most half of them, and at
            least one.
        proxy: The address of a proxy, else the environment's.
        trust_env: True to use the environment's proxies.
        verify: False to trust any certificate, or an `ssl.SSLContext`.
        http_client: An `httpx.AsyncClient` to send with: its transport, proxies, headers and
            hooks apply; its timeouts, redirects and `auth=` do not, and neither do `trust_env`
            and `verify` above. It is not closed.
        gate: A rate limiter that every request passes, see `Gate`; several clients may share
            one. None: this client's own, which holds back its calls after a 429.

    Raises:
        ConfigurationError: An option cannot work. The error never shows the key.

    Warns:
        UserWarning: base_url is plain http to another machine, which shows the key to others.
    """

    def __init__(  # noqa: PLR0913  # all by keyword, all with a default
        self,
        api_key: str | None = None,
        *,
        base_url: str | None = None,
        dialect: Dialect = Dialect(),  # noqa: B008  # frozen
        polling: Polling = Polling(),  # noqa: B008
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008
        request_timeout: float = 15.0,
        seed_timeout: float = 75.0,
        max_connections: int = 64,
        proxy: str | None = None,
        trust_env: bool = True,
        verify: bool | ssl.SSLContext = True,
        http_client: httpx.AsyncClient | None = None,
        gate: Gate | None = None,
    ) -> None:
        # First of all: a traceback with locals must not show the key from this frame.
        secret, api_key = Secret(api_key), None
        self._settings = Settings(
            key=find_key(secret, getattr(dialect, "auth", "auto")),
            base_url=find_base_url(base_url),
            dialect=dialect,
            polling=polling,
            retry=retry,
            request_timeout=request_timeout,
            seed_timeout=seed_timeout,
            max_connections=max_connections,
        )
        _config.check_instance("verify", verify, bool, ssl.SSLContext)
        _config.check_instance("trust_env", trust_env, bool)
        if gate is not None:
            check_gate(gate)
        self._given_gate = gate
        if self._settings.key.reveal() and exposes_key(self._settings.base_url):
            host = httpx.URL(self._settings.base_url).host
            warnings.warn(f"plain http: the key travels unencrypted to {host}", stacklevel=2)
        if http_client is not None and proxy is not None:
            raise errors.ConfigurationError("give the proxy to your http_client instead")
        transport = None
        if http_client is None:
            found = find_proxy(proxy, self._settings.base_url, trust_env=trust_env)
            transport = make_pool(self._settings.base_url, found, verify)
            http_client = httpx.AsyncClient(transport=transport, trust_env=False)
        _config.check_instance("http_client", http_client, httpx.AsyncClient)
        self._assemble(Clock(), http_client, transport)

    def _assemble(
        self,
        clock: Clock,
        http_client: httpx.AsyncClient,
        transport: httpx.AsyncBaseTransport | None,
    ) -> None:
        settings, gate, auth = self._settings, self._given_gate, self._settings.dialect.auth
        self._clock = clock
        self._lifecycle = Lifecycle(clock)
        authenticator = Authenticator(None if auth == "auto" else auth, clock)
        self._session = Session(
            settings=settings,
            clock=clock,
            lifecycle=self._lifecycle,
            gate=BackoffGate(clock, settings.retry.first_delay) if gate is None else gate,
            authenticate=authenticator.authenticate,
            http_client=http_client,
            transport=transport,
        )
        self._gateway = Gateway(settings.dialect, self._session, authenticator, clock)
        self._waits = WaitContext(
            clock=clock,
            lifecycle=self._lifecycle,
            polling=settings.polling,
            had_good_answer=lambda: authenticator.had_good_answer,
        )

    @classmethod
    def _on_clock(cls, clock: Clock, transport: httpx.AsyncBaseTransport, **options: Any) -> Self:
        """Return a client for the testing kit, whose time is that of a fake gateway."""
        http_client = httpx.AsyncClient(transport=transport)
        client = cls(http_client=http_client, **options)
        client._assemble(clock, http_client, transport)
        return client

    def __repr__(self) -> str:
        settings = vars(self).get("_settings")  # absent in the traceback of a failed __init__
        return f"<AsyncMJClient({settings.base_url if settings else 'unfinished'!r})>"

    async def __aenter__(self) -> Self:
        self._lifecycle.check()
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections; a second time does nothing."""
        await self._session.aclose()

    def statistics(self) -> Statistics:
        """Return what this client has done so far, and what it has found out about the gateway.

        The numbers are of this moment, and include pollers and bulk calls. It sends no request,
        and may be called at any time, also after `aclose()`.
        """
        counts = self._session.counts
        return Statistics(
            requests=counts.requests,
            retries=counts.retries,
            polls=counts.polls,
            batches=counts.batches,
            connections=self._session.connections,
            dialect=self._gateway.dialect,
        )

    async def fetch_task(self, task_id: str, *, timeout: float | None = 60.0) -> Task:
        """Return one task as it is now.

        See the gateways page, "One task", for how each gateway answers.

        Args:
            task_id: The task's id.
            timeout: Seconds for the whole call, its retries and sleeps; None: no limit.

        Returns:
            The task; its id is filled in where the answer had none.

        Raises:
            ConfigurationError: The id or the timeout cannot be used.
            TaskNotFoundError: The gateway does not know the id.
            AuthenticationError: The gateway refused the key, or its quota is used up.
            PermissionDeniedError: The gateway does not allow this.
            RateLimitError: The gateway asks to slow down, and there are no retries left.
            ServerError: The gateway failed, and there are no retries left.
            TransportError: No answer came, and there are no retries left.
            UnexpectedAnswerError: The answer is not of this API, or is about another task.
            APIError: The gateway refused for another reason.
        """
        _config.check_timeout(timeout)
        return await self._gateway.fetch_task(_config.check_id(task_id), timeout)

    async def list_tasks(
        self, task_ids: Iterable[str], *, timeout: float | None = 60.0
    ) -> TaskList:
        """Return many tasks, from lists of a hundred ids, at most four at once.

        See the gateways page, "Tasks by id": lists come in any order, leave out unknown ids, and
        may be empty although the tasks exist, which is checked.

        Args:
            task_ids: The ids; a repeated id counts once.
            timeout: Seconds for each list, its retries and sleeps; None: no limit.

        Returns:
            The tasks in the order asked, and the `missing` ids.

        Raises:
            ConfigurationError: It is no list of ids, or one of them cannot be used.
            MJError: As `fetch_task`, but for `TaskNotFoundError`; its `partial` has the tasks
                that had been received. The other lists are cut off.
        """
        _config.check_timeout(timeout)
        return await self._gateway.list_tasks(_config.check_ids(task_ids), timeout)

    async def image_seed(self, task: str | Task, *, timeout: float | None = 180.0) -> ImageSeed:
        """Look up the seed of a finished task's image.

        See the gateways page, "The image's seed". It may take a minute, and after a time-out the
        request is sent again no sooner than 20 s later.

        Args:
            task: An id, or a `Task`: one that carries its seed costs no request.
            timeout: Seconds for the whole call, its retries and sleeps; None: no limit.

        Raises:
            ConfigurationError: The id or the timeout cannot be used.
            SeedUnavailableError: The gateway answered without a seed, and says why.
            TaskNotFoundError: The gateway does not know the id.
            UnsupportedError: The gateway has no such route, in neither form.
            MJError: As `fetch_task`.
        """
        _config.check_timeout(timeout)
        if isinstance(task, Task) and task.seed is not None:
            return ImageSeed(task.id, task.seed, "list", task)
        task_id = _config.check_id(task.id if isinstance(task, Task) else task)
        return await self._gateway.image_seed(task_id, timeout)

    def wait_for_tasks(
        self,
        task_ids: Iterable[str],
        *,
        timeout: float | None = 600.0,
        polling: Polling | None = None,
    ) -> AbstractAsyncContextManager[AsyncIterator[TaskOutcome]]:
        """Wait for many tasks with one poll for all.

        `async with client.wait_for_tasks(ids) as outcomes`, then `async for outcome in outcomes`.
        At each tick of `polling.interval` the tasks that are due are asked for in lists of a
        hundred, see `TaskPoller`.

        Args:
            task_ids: The ids; a repeated id counts once.
            timeout: Seconds for all of it; None: no limit. At the end each task that is not final
                has a `WaitTimeoutError` with the last task.
            polling: The schedule; None: the client's.

        Returns:
            A context manager that yields an iterator over a `TaskOutcome` for each id, as the
            tasks end. The outcome has an error for a task that ended with FAILURE or CANCEL, is
            MODAL or was not found, and for each task that was pending when the gateway refused
            the key or the client was closed.

        Raises:
            ConfigurationError: An argument cannot be used.
        """
        _config.check_timeout(timeout)
        return TaskWaits(
            task_ids=_config.check_ids(task_ids),
            timeout=timeout,
            poller=self._make_poller(polling, BATCH_SIZE),
        )

    def task_poller(
        self, *, polling: Polling | None = None, batch_size: int = BATCH_SIZE
    ) -> TaskPoller:
        """Return a poller: many waits that come and go, with one poll for all.

        Args:
            polling: The ticks, and the schedule of waits that bring none; None: the client's.
            batch_size: The most ids in one list call. Upstream documents at most 500.

        Returns:
            The poller, to be closed before the client.

        Raises:
            ConfigurationError: An argument cannot be used.
        """
        _config.check_count("batch_size", batch_size)
        return self._make_poller(polling, batch_size)

    def _make_poller(self, polling: Polling | None, batch_size: int) -> TaskPoller:
        schedule = self._settings.polling if polling is None else polling
        _config.check_instance("polling", schedule, Polling)
        lifecycle = Lifecycle(self._clock, "poller", self._lifecycle)
        # A batch may be sent half a tick early, or at the end of its tick.
        slack = 1.5 * schedule.interval
        waits = attrs.evolve(self._waits, polling=schedule, lifecycle=lifecycle, slack=slack)
        return TaskPoller(waits, self._gateway, batch_size)

    def _watch(self, task_id: str, timeout: float | None, polling: Polling | None) -> Watch:
        wait_for_news = partial(poll_one, poll=self._gateway.poll)
        return self._waits.watch(task_id, timeout, polling, wait_for_news)

    def image_seeds(
        self,
        tasks: TaskIds,
        *,
        concurrency: int = 4,
        batch_size: int = 1,
        ask_again_after: float = 30.0,
        max_asks: int = 3,
    ) -> AbstractAsyncContextManager[AsyncIterator[SeedOutcome]]:
        """Look up the seeds of many tasks.

        Use it as `async with client.image_seeds(ids) as outcomes`, then
        `async for outcome in outcomes`. The ids are listed first, a hundred in a request. A task
        that carries its seed needs no other request; a task that is unfinished, failed or unknown
        is reported at once. Only the seeds of the other tasks are asked for.

        An id is asked again later after: no answer, a failure of the server, a 429, and an answer
        that the gateway had no time (code 5), no luck (code 9) or no account (code 3 and
        无可用的账号实例). Each request is sent once: `RetryPolicy` does not apply.

        If `concurrency` requests in a row had no answer or a 5xx, the run probes the gateway with
        a list of one id. While the gateway does not answer, the run waits, and none of these
        failures counts against an id.

        Args:
            tasks: Ids or tasks, any number, in an iterable or an async iterable. Tasks are not
                listed. The input is read as fast as the caller reads the outcomes. An id that is
                repeated within the last 100,000 is asked once.
            concurrency: How many requests for seeds are in flight at once.
            batch_size: How many seeds one request asks for; ids that its answer omits are asked
                for alone. Above 1 it needs `Dialect(seed="multipart")`.
            ask_again_after: Seconds until an id is asked again: at least 20 s after a time-out,
                and at least a Retry-After. Also the seconds from one probe to the next.
            max_asks: The most list requests for an id, and the most requests for its seed. A 429
                does not count, but ten times `max_asks` of them end the id. Also how many probes
                in a row may fail.

        Returns:
            A context manager that yields an iterator of `SeedOutcome`, one for each id, as they
            arrive. Their `error` is a TaskNotFoundError, TaskFailedError, TaskCancelledError or
            SeedUnavailableError (not finished, or without a seed), or the last of the errors that
            `image_seed` may raise.

        Raises:
            ConfigurationError: An argument cannot be used. While iterating: an id cannot be used;
                all ids before it have their outcome.
            AuthenticationError: While iterating, after all outcomes that were received: the key
                was refused, or its quota is used up.
            PermissionDeniedError: The same for a 403.
            TransportError: The same: the gateway has not answered `max_asks` probes in a row.
            ServerError: The same, if it answered the last probe with a 5xx.
            ClientStateError: The same: the client was closed.
        """
        _config.check_count("concurrency", concurrency)
        _config.check_count("batch_size", batch_size)
        _config.check_option("ask_again_after", ask_again_after, _config.zero_or_more)
        _config.check_count("max_asks", max_asks)
        if batch_size > 1 and self._settings.dialect.seed != "multipart":
            raise errors.ConfigurationError(
                'batch_size above 1 needs Dialect(seed="multipart"): only that form takes many ids'
            )
        options = SeedOptions(
            concurrency=concurrency,
            batch_size=batch_size,
            ask_again_after=ask_again_after,
            max_asks=max_asks,
        )
        return SeedLookup(
            tasks=tasks,
            gateway=self._gateway,
            options=options,
            clock=self._clock,
            lifecycle=self._lifecycle,
        )
