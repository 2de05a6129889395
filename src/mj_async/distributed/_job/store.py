"""What Redis keeps of a job: each method is one step that a kill cannot cut."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any, Self

import attrs
from coredis import Redis

from mj_async import errors

from .._redis import JOB_LOST, server_address, translate_redis_errors
from . import lua_scripts
from .connection import ReconnectPolicy, open_redis
from .state import FORMAT_VERSION, JobState, parse_state

_OLDEST_REDIS = 7
# Where Redis was never seen, its address may be wrong.
_FIRST_TIMEOUT = 3.0


@attrs.frozen
class Delivery:
    """A chunk as it is delivered.

    Args:
        deliveries: How often it was delivered, this time included; 0: it is done.
        lookups: How often all of it was asked for.
        partial: What is there of it.
    """

    deliveries: int
    lookups: int
    partial: bytes


@attrs.define
class JobStore:
    """One job in Redis, to be entered and left in one task.

    Args:
        redis_url: Where it is.
        name: The job's.
    """

    redis_url: str
    name: str
    reconnect: ReconnectPolicy = attrs.field(factory=ReconnectPolicy, init=False)
    _was_seen: bool = attrs.field(default=False, init=False)
    _redis: Redis[bytes] = attrs.field(init=False)
    _stack: AsyncExitStack = attrs.field(factory=AsyncExitStack, init=False)

    @property
    def key(self) -> str:
        """The job's hash, and the beginning of all other keys' names."""
        return f"mj_async:job:{self.name}"

    async def __aenter__(self) -> Self:
        """Connect.

        Raises:
            ConfigurationError: Redis cannot be reached, refuses us, or may forget what it keeps.
        """
        self._redis = open_redis(self.redis_url, self.reconnect)
        try:
            probe = open_redis(self.redis_url, ReconnectPolicy(_FIRST_TIMEOUT))
            async with translate_redis_errors(self.redis_url), probe:
                found = await probe.info()
        except errors.TransportError as error:  # nothing has begun: it is a wrong address
            raise errors.ConfigurationError(str(error)) from None
        check_server(found, self.redis_url)
        await self._stack.enter_async_context(self._redis)
        return self

    async def __aexit__(self, *_exception: object) -> None:
        # Without the body's exception, which the group of connections would wrap into a group.
        await self._stack.aclose()

    async def _run(self, script: str, *arguments: str | bytes | int, key: str = "") -> Any:
        async with translate_redis_errors(self.redis_url):
            return await self._redis.eval(script, [self.key + key], arguments)

    async def create(self, chunk_size: int) -> None:
        """Make the job, if it is not there.

        Raises:
            ConfigurationError: It is there, and not such a one.
        """
        version, size = await self._run(lua_scripts.CREATE, FORMAT_VERSION, chunk_size)
        self._check_version(version)
        if int(size) != chunk_size:
            raise errors.ConfigurationError(
                f"the job {self.name!r} has chunks of {int(size)} ids, not of {chunk_size};"
                f" next: give chunk_size={int(size)}, or another name"
            )

    def _check_version(self, version: bytes | None) -> None:
        if version != FORMAT_VERSION.encode():
            raise errors.ConfigurationError(
                f"the job {self.name!r} was made by another version of mj_async;"
                " next: finish it there, or give another name"
            )

    async def read_state(self, worker: str = "", lease: float = 0.0) -> JobState | None:
        """Tell how the job stands; None where there is none.

        Args:
            worker: Who looks, if it works; and is then counted.
            lease: Seconds for which it counts; 0: it has ended.

        Raises:
            ConfigurationError: It is another version's.
            ClientStateError: It was there, and is no more.
        """
        found = await self._run(lua_scripts.STATE, worker, round(1000 * lease))
        if found[0] is not None:
            self._check_version(found[0])
            self._was_seen = True
            return parse_state(found)
        if self._was_seen:
            raise errors.ClientStateError(f"Redis at {server_address(self.redis_url)} {JOB_LOST}")
        return None

    async def require_state(self) -> JobState:
        """Tell how the job stands.

        Raises:
            ConfigurationError: There is none.
        """
        state = await self.read_state()
        if state is None:
            raise errors.ConfigurationError(
                f"there is no job {self.name!r} in this Redis; next: submit it, or correct the name"
            )
        return state

    async def submit(self, before: int, chunks: int, ids: int, digest: str) -> bool:
        """Write down that chunks will be published; False where the job stands elsewhere."""
        return bool(await self._run(lua_scripts.SUBMIT, before, chunks, ids, digest))

    async def complete(self, chunks: int) -> bool:
        """Write down that all have been published; False where these are not all."""
        return bool(await self._run(lua_scripts.COMPLETE, chunks))

    async def begin(self, number: int) -> Delivery:
        """Begin a chunk."""
        return Delivery(*await self._run(lua_scripts.BEGIN, number))

    async def finish(self, number: int, part: bytes, count: int, seedless: int) -> None:
        """Hand a chunk's part over."""
        await self._run(lua_scripts.FINISH, number, part, count, seedless)

    async def release(self, number: int, partial: bytes, *, deliveries: int, lookups: int) -> bool:
        """Give a chunk back, with what there is of it; False where others have done it.

        Args:
            number: The chunk's.
            partial: What there is of it.
            deliveries: What to add to those that it has had.
            lookups: What to add to how often all of it was asked for.
        """
        return bool(await self._run(lua_scripts.RELEASE, number, partial, deliveries, lookups))

    async def mark_dead(self, number: int, task_ids: Sequence[str]) -> None:
        """Put a chunk among the dead."""
        await self._run(lua_scripts.MARK_DEAD, number, json.dumps(list(task_ids)), len(task_ids))

    async def dead(self) -> dict[int, list[str]]:
        """Give the ids of each dead chunk."""
        async with translate_redis_errors(self.redis_url):
            found = await self._redis.hgetall(f"{self.key}:dead")
        return {int(number): json.loads(ids) for number, ids in sorted(found.items())}

    async def unmark_dead(self, number: int, count: int) -> None:
        """Take a chunk from the dead; it has been published again."""
        await self._run(lua_scripts.UNMARK_DEAD, number, count)

    async def part_numbers(self) -> list[int]:
        """Name the chunks whose parts wait to be collected, in order."""
        async with translate_redis_errors(self.redis_url):
            return sorted(int(number) for number in await self._redis.hkeys(f"{self.key}:parts"))

    async def read_part(self, number: int) -> bytes | None:
        """Give a part; None where somebody else has collected it."""
        async with translate_redis_errors(self.redis_url):
            return await self._redis.hget(f"{self.key}:parts", str(number))

    async def mark_collected(self, number: int, count: int) -> None:
        """Write down that a part lies where it belongs."""
        await self._run(lua_scripts.COLLECT, number, count)

    async def collected_bitmap(self) -> bytes:
        """Give the map of the chunks that were collected, a bit for each."""
        async with translate_redis_errors(self.redis_url):
            return await self._redis.get(f"{self.key}:collected") or b""

    async def lock(self, purpose: str, owner: str, ttl: float) -> bool:
        """Take or keep a lock; False where it is another's."""
        is_owned = await self._run(
            lua_scripts.LOCK, owner, round(1000 * ttl), key=f":lock:{purpose}"
        )
        return bool(is_owned)

    async def unlock(self, purpose: str, owner: str) -> None:
        """Give a lock back."""
        # By a connection of its own: if this task is cancelled, those of the job are cut.
        redis = open_redis(self.redis_url, ReconnectPolicy(0.0))
        async with translate_redis_errors(self.redis_url), redis:
            await redis.eval(lua_scripts.UNLOCK, [f"{self.key}:lock:{purpose}"], [owner])


def check_server(found: dict[str, Any], redis_url: str) -> None:
    """Make sure that a Redis can be used, from what its INFO tells.

    Raises:
        ConfigurationError: It cannot.
    """
    address = server_address(redis_url)
    policy = found.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        raise errors.ConfigurationError(
            f"Redis at {address} may forget a job: its maxmemory-policy is {policy};"
            " next: set it to noeviction"
        )
    version = str(found.get("redis_version", _OLDEST_REDIS))
    if int(version.partition(".")[0]) < _OLDEST_REDIS:
        raise errors.ConfigurationError(
            f"Redis at {address} is {version}; next: use one from {_OLDEST_REDIS}.0 on"
        )
