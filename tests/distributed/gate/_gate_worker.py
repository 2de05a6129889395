"""A process with a client and a shared gate: it fetches as fast as the gate allows.

`python _gate_worker.py REDIS_URL BASE_URL KEY RATE SECONDS` prints how many requests it sent.
"""

from __future__ import annotations

import asyncio
import sys
import time

from mj_async import AsyncMJClient, Dialect
from mj_async.distributed import SharedGate

CALLERS = 12


async def main(redis_url: str, base_url: str, key: str, rate: str, seconds: str) -> None:
    """Fetch with twelve callers for so many seconds."""
    gate = SharedGate(redis_url, base_url=base_url, api_key=key, rate=float(rate))
    dialect = Dialect(auth="bearer")
    until = time.monotonic() + float(seconds)
    async with AsyncMJClient(key, base_url=base_url, dialect=dialect, gate=gate) as client:

        async def fetch() -> None:
            while time.monotonic() < until:
                await client.fetch_task("1")

        await asyncio.gather(*(fetch() for _ in range(CALLERS)))
        print(client.statistics().requests)  # noqa: T201  # the test reads it


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
