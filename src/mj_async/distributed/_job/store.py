"""The job in Redis. Each method is atomic: a kill happens before or after it."""

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
# Seconds for the first connection: if it fails, the address is probably wrong.
_FIRST_TIMEOUT = 3.0


@attrs.frozen
class Delivery:
    """One delivery of a chunk to a worker.

    Args:
        deliveries: How often it was delivered, including this time; 0: it is already done.
        lookups: How often all of its ids were looked up.
        partial: The lines that it has so far, compressed.
    """

    deliveries: int
    lookups: int
    partial: bytes


@attrs.define
class JobStore:
    """One job in Redis. It must be entered and left in the same task."""

    redis_url: str
    name: str
    reconnect: ReconnectPolicy = attrs.field(factory=ReconnectPolicy, init=False)
    _was_seen: bool = attrs.field(default=False, init=False)
    _redis: Redis[bytes] = attrs.field(init=False)
    _stack: AsyncExitStack = attrs.field(factory=AsyncExitStack, init=False)

    @property
    def key(self) -> str:
        """The key of the job's hash; all other keys begin with it."""
        return f"mj_async:job:{self.name}"

    async def __aenter__(self) -> Self:
        """Connect.

        Raises:
            ConfigurationError: Redis cannot be reached, refuses the password, or may evict keys.
        """
        self._redis = open_redis(self.redis_url, self.reconnect)
        try:
            probe = open_redis(self.redis_url, ReconnectPolicy(_FIRST_TIMEOUT))
            async with translate_redis_errors(self.redis_url), probe:
                found = await probe.info()
        except errors.TransportError as error:  # at the start: probably a wrong address
            raise errors.ConfigurationError(str(error)) from None
        check_server(found, self.redis_url)
        await self._stack.enter_async_context(self._redis)
        return self

    async def __aexit__(self, *_exception: object) -> None:
        # The task group of the connections would wrap the body's exception into a group.
        await self._stack.aclose()

    async def _run(self, script: str, *arguments: str | bytes | int, key: str = "") -> Any:
        async with translate_redis_errors(self.redis_url):
            return await self._redis.eval(script, [self.key + key], arguments)

    async def create(self, chunk_size: int) -> None:
        """Create the job if it does not exist.

        Raises:
            ConfigurationError: It exists, with another chunk size or version.
        """
        version, size = await self._run(lua_scripts.CREATE, FORMAT_VERSION, chunk_size)
        self._check_version(version)
        if int(size) != chunk_size:
            raise errors.ConfigurationError(
                f"the job {self.name!r} has chunks of {int(size)} ids, not of {chunk_size};"
                f" next: use chunk_size={int(size)}, or another name"
            )

    def _check_version(self, version: bytes | None) -> None:
        if version != FORMAT_VERSION.encode():
            raise errors.ConfigurationError(
                f"the job {self.name!r} was made by another version of mj_async;"
                " next: finish it with that version, or use another name"
            )

    async def read_state(self, worker: str = "", lease: float = 0.0) -> JobState | None:
        """Return the state of the job, or None if it does not exist.

        Args:
            worker: The id of the calling worker, which is then counted as one.
            lease: Seconds for which it is counted; 0: it has ended.

        Raises:
            ConfigurationError: The job was made by another version.
            ClientStateError: The job existed, and Redis has lost it.
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
        state = await self.read_state()
        if state is None:
            raise errors.ConfigurationError(
                f"there is no job {self.name!r} in this Redis; next: submit it, or correct the name"
            )
        return state

    async def submit(self, before: int, chunks: int, ids: int, digest: str) -> bool:
        """Record that chunks will be published.

        Args:
            before: The number of chunks before.
            chunks: The number of chunks now.
            ids: The number of ids in them.
            digest: The digest of these ids.

        Returns:
            False if the job in Redis has another number of chunks, or another digest.
        """
        return bool(await self._run(lua_scripts.SUBMIT, before, chunks, ids, digest))

    async def complete(self, chunks: int) -> bool:
        """Record that all chunks are published; return False if the job has another number."""
        return bool(await self._run(lua_scripts.COMPLETE, chunks))

    async def begin(self, number: int) -> Delivery:
        return Delivery(*await self._run(lua_scripts.BEGIN, number))

    async def finish(self, number: int, part: bytes, count: int, seedless: int) -> None:
        """Store the part of a chunk: its lines, how many they are, and how many have no seed."""
        await self._run(lua_scripts.FINISH, number, part, count, seedless)

    async def release(self, number: int, partial: bytes, *, deliveries: int, lookups: int) -> bool:
        """Return a chunk to the queue, with the lines that it has so far.

        Args:
            number: The number of the chunk.
            partial: These lines, compressed.
            deliveries: What to add to its count of deliveries.
            lookups: What to add to its count of lookups.

        Returns:
            False if another worker has finished it.
        """
        return bool(await self._run(lua_scripts.RELEASE, number, partial, deliveries, lookups))

    async def mark_dead(self, number: int, task_ids: Sequence[str]) -> None:
        await self._run(lua_scripts.MARK_DEAD, number, json.dumps(list(task_ids)), len(task_ids))

    async def dead(self) -> dict[int, list[str]]:
        async with translate_redis_errors(self.redis_url):
            found = await self._redis.hgetall(f"{self.key}:dead")
        return {int(number): json.loads(ids) for number, ids in sorted(found.items())}

    async def unmark_dead(self, number: int, count: int) -> None:
        await self._run(lua_scripts.UNMARK_DEAD, number, count)

    async def part_numbers(self) -> list[int]:
        async with translate_redis_errors(self.redis_url):
            return sorted(int(number) for number in await self._redis.hkeys(f"{self.key}:parts"))

    async def read_part(self, number: int) -> bytes | None:
        """Return a part, or None if it was collected meanwhile."""
        async with translate_redis_errors(self.redis_url):
            return await self._redis.hget(f"{self.key}:parts", str(number))

    async def mark_collected(self, number: int, count: int) -> None:
        """Record that a part is collected, and delete it."""
        await self._run(lua_scripts.COLLECT, number, count)

    async def collected_bitmap(self) -> bytes:
        async with translate_redis_errors(self.redis_url):
            return await self._redis.get(f"{self.key}:collected") or b""

    async def lock(self, purpose: str, owner: str, ttl: float) -> bool:
        """Acquire or renew a lock; return False if another owner has it."""
        is_owned = await self._run(
            lua_scripts.LOCK, owner, round(1000 * ttl), key=f":lock:{purpose}"
        )
        return bool(is_owned)

    async def unlock(self, purpose: str, owner: str) -> None:
        # On a new connection: if this task was cancelled, the job's connections are closed.
        redis = open_redis(self.redis_url, ReconnectPolicy(0.0))
        async with translate_redis_errors(self.redis_url), redis:
            await redis.eval(lua_scripts.UNLOCK, [f"{self.key}:lock:{purpose}"], [owner])


def check_server(found: dict[str, Any], redis_url: str) -> None:
    """Check version and settings of a Redis, from its INFO.

    Raises:
        ConfigurationError: It is too old, or may evict keys.
    """
    address = server_address(redis_url)
    policy = found.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        raise errors.ConfigurationError(
            f"Redis at {address} may lose a job: its maxmemory-policy is {policy};"
            " next: set it to noeviction"
        )
    version = str(found.get("redis_version", _OLDEST_REDIS))
    if int(version.partition(".")[0]) < _OLDEST_REDIS:
        raise errors.ConfigurationError(
            f"Redis at {address} is {version}; next: use version {_OLDEST_REDIS}.0 or later"
        )
