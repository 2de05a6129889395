"""What a schedule that learns saves, on the virtual clock, over durations as Midjourney has them.

Tasks come in waves of fifty, and each is waited for. The durations are drawn: an upscale takes
some 9 s; a picture some 42 s, and one in four, in relax mode, some 150 s with a long tail.
It prints, for each schedule, how often a task was asked for, the requests for each task, and the
seconds from its end to our knowing it; without the first wave, in which there is nothing to learn
from. Both schedules see the same tasks. It exits with 1 where the one that learns asks more, or is
later in the mean or a percentile. Run it as `nox -s bench`, or `python benchmarks/adaptive.py`.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import statistics
import sys
from collections.abc import Callable

from mj_async import AsyncMJClient, Dialect, Polling, TaskPoller
from mj_async.testing import FakeGateway

WAVES, A_WAVE = 24, 50
DIALECT = Dialect(auth="bearer", ids="json")
PICTURE = {"image_url": "https://cdn.example/1.png"}


def draw(chance: random.Random) -> tuple[str, float]:
    """Draw a task: its action, and the seconds that it takes."""
    if chance.random() < 0.3:
        return "UPSCALE", chance.lognormvariate(math.log(9.0), 0.4)
    if chance.random() < 0.25:
        return "IMAGINE", chance.lognormvariate(math.log(150.0), 0.6)
    return "IMAGINE", chance.lognormvariate(math.log(42.0), 0.3)


async def run_wave(
    gateway: FakeGateway, waiter: AsyncMJClient | TaskPoller, number: int
) -> list[float]:
    """Wait for a wave of tasks, and tell how late each end was seen."""
    chance = random.Random(number)
    late: list[float] = []

    async def wait(task_id: str, ends_at: float) -> None:
        await waiter.wait_for_task(task_id, timeout=None)
        late.append(gateway.now - ends_at)

    waits = []
    for place in range(A_WAVE):
        action, seconds = draw(chance)
        timeline = [(0.0, "SUBMITTED", "0%"), (seconds, "SUCCESS", "100%")]
        gateway.add_task(f"{number}-{place}", timeline, action=action, **PICTURE)
        waits.append(wait(f"{number}-{place}", gateway.now + seconds))
    await asyncio.gather(*waits)
    return late


async def measure(polling: Polling, *, together: bool) -> tuple[float, float, list[float]]:
    """Give the polls and requests for each task, and how late the ends were seen."""
    random.seed(7)  # the jitter's
    gateway = FakeGateway()
    late: list[float] = []
    async with (
        gateway.client(polling=polling, dialect=DIALECT) as client,
        client.task_poller() as poller,
    ):
        waiter = poller if together else client
        await run_wave(gateway, waiter, 0)
        learnt_from = len(gateway.requests)
        for number in range(1, WAVES):
            late += await run_wave(gateway, waiter, number)
    requests = gateway.requests[learnt_from:]
    polls = sum(len(json.loads(one.body)["ids"]) if one.body else 1 for one in requests)
    return polls / len(late), len(requests) / len(late), late


def main() -> None:
    """Measure both schedules, and print the table."""
    schedules: dict[str, Callable[[], Polling]] = {
        "Polling()": Polling,
        "Polling.adaptive()": Polling.adaptive,
    }
    asking = {"client.wait_for_task": False, "poller, one poll for all": True}
    print(f"{(WAVES - 1) * A_WAVE} tasks; seconds from the end of a task to our knowing it\n")
    print(f"{'':50} polls  requests   mean  median   90 %   99 %")
    worse = False
    for way, together in asking.items():
        figures = []
        for name, make in schedules.items():
            polls, requests, late = asyncio.run(measure(make(), together=together))
            cuts = statistics.quantiles(late, n=100)
            figures.append((polls, statistics.fmean(late), cuts[49], cuts[89], cuts[98]))
            mean, median, *tail = figures[-1][1:]
            row = f"{mean:5.2f}  {median:6.2f}  {tail[0]:5.2f}  {tail[1]:5.2f}"
            print(f"{way:28} {name:21} {polls:5.2f}  {requests:8.2f}  {row}")
        fixed, adaptive = figures
        worse = worse or any(b > a for a, b in zip(fixed, adaptive, strict=True))
    sys.exit(int(worse))


if __name__ == "__main__":
    main()
