"""Ten thousand ids over real TCP, with everything that goes wrong in a night, a restart too."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any, Self

import pytest

from _fake_seed_api import collect
from mj_async import AsyncMJClient, Dialect, SeedOutcome, errors

pytestmark = pytest.mark.anyio

IDS = [str(10_000 + number) for number in range(10_000)]
# Of twenty ids each, what the gateway knows of them; and how many answers for its seed each takes.
KINDS = [
    *["carried"] * 8,
    *["seed"] * 3,
    *["missing"] * 2,
    *["late", "later", "refused", "slow", "seedless", "failed", "unfinished"],
]
SEED_ANSWERS = {"seed": 1, "slow": 1, "seedless": 1, "late": 2, "refused": 2, "later": 3}
FAILURES = {
    "missing": errors.TaskNotFoundError,
    "failed": errors.TaskFailedError,
    "unfinished": errors.SeedUnavailableError,
    "seedless": errors.SeedUnavailableError,
}
STATUSES = {"failed": "FAILURE", "unfinished": "IN_PROGRESS"}
RESTART_AT, AWAY = 2_000, 0.8


def kind_of(task_id: str) -> str:
    """Tell what the gateway knows of an id."""
    return KINDS[int(task_id) * 7 % 20]


class Night:
    """What the gateway says, and what it has said; it is asked in one thread only."""

    def __init__(self) -> None:
        self.listed: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()
        self.questions = 0

    def list(self, ids: list[str]) -> tuple[int, Any]:
        """Answer a list; one of a single id asks whether the gateway lives."""
        self.questions += len(ids) == 1
        self.listed.update(ids if len(ids) > 1 else [])
        return 200, [
            {
                "id": one,
                "status": STATUSES.get(kind_of(one), "SUCCESS"),
                **({"seed": f"7{one}"} if kind_of(one) == "carried" else {}),
            }
            for one in ids
            if kind_of(one) != "missing"
        ]

    def seed(self, task_id: str) -> tuple[int, Any]:
        """Answer one question for a seed."""
        self.answered[task_id] += 1
        kind, nth = kind_of(task_id), self.answered[task_id]
        if kind == "refused" and nth == 1:
            return 429, {}
        if kind == "seedless":
            return 200, {"code": 3, "description": "未找到 seed"}
        if kind in ("late", "later") and nth < SEED_ANSWERS[kind]:
            return 200, {"code": 9, "description": "超时，未找到 seed messageId"}
        return 200, {"code": 1, "result": f"7{task_id}"}


class Connection(asyncio.Protocol):
    """One connection: a request at a time, and its answer."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._server.connections.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._server.connections.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        """Answer a request when it is whole."""
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        if not found or len(body) < int(length or 0):
            return
        self._received = b""
        target = head.split(b" ")[1].decode()
        if target.endswith("list-by-condition"):
            self._server.ask(self._transport, "list", json.loads(body)["ids"])
        else:
            self._server.ask(self._transport, "seed", target.split("/")[-2])


class Server:
    """A gateway in a thread, which goes away once and comes back at the same address."""

    def __init__(self, night: Night) -> None:
        self._night = night
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self.connections: set[asyncio.Transport] = set()
        self._requests = 0
        self.port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ended, self._restart = asyncio.Event(), asyncio.Event()
        await self._listen()
        self._ready.set()
        restarting = asyncio.create_task(self._restart_once())
        await self._ended.wait()
        restarting.cancel()
        self._leave()

    async def _listen(self) -> None:
        self._server = await self._loop.create_server(
            lambda: Connection(self), "127.0.0.1", self.port, backlog=1024
        )
        self.port = self._server.sockets[0].getsockname()[1]

    def _leave(self) -> None:
        self._server.close()
        for connection in tuple(self.connections):
            connection.abort()

    async def _restart_once(self) -> None:
        await self._restart.wait()
        await asyncio.sleep(AWAY)
        await self._listen()

    def ask(self, transport: asyncio.Transport, verb: str, asked: Any) -> None:
        """Take a request; who waits for an answer when the gateway goes never gets it."""
        self._requests += 1
        if self._requests == RESTART_AT:
            self._leave()
            self._restart.set()
            return
        slow = verb == "seed" and kind_of(asked) == "slow"
        self._loop.call_later(0.05 if slow else 0.0, self._answer, transport, verb, asked)

    def _answer(self, transport: asyncio.Transport, verb: str, asked: Any) -> None:
        if transport.is_closing():
            return
        status, answer = getattr(self._night, verb)(asked)
        body = json.dumps(answer).encode()
        head = b"HTTP/1.1 %d X\r\nRetry-After: 0\r\nContent-Length: %d\r\n\r\n"
        transport.write(head % (status, len(body)) + body)


def ids_with_repetitions() -> Iterator[str]:
    """Give each id, and some again a little later."""
    for number, task_id in enumerate(IDS):
        yield task_id
        if number % 10 == 9:
            yield IDS[number - 5]


async def run_over_tcp(night: Night) -> dict[str, SeedOutcome]:
    """Look up all seeds, sixteen at a time."""
    with Server(night) as server:
        async with AsyncMJClient(
            "sk-night", base_url=f"http://127.0.0.1:{server.port}", dialect=Dialect(auth="bearer")
        ) as client:
            run = client.image_seeds(
                ids_with_repetitions(), concurrency=16, ask_again_after=0.15, max_asks=9
            )
            return await collect(run)


async def test_ten_thousand_ids_are_looked_up_as_planned() -> None:
    """Each outcome is true, and each id is listed and asked for as often as it takes."""
    night = Night()
    found = await run_over_tcp(night)

    assert set(IDS) == set(found)
    wrong = {one: outcome for one, outcome in found.items() if not is_true(outcome)}
    assert {} == wrong
    assert Counter(IDS) == night.listed
    planned = {one: SEED_ANSWERS[kind_of(one)] for one in IDS if kind_of(one) in SEED_ANSWERS}
    assert planned == dict(night.answered)
    assert 1 <= night.questions


def is_true(outcome: SeedOutcome) -> bool:
    """Whether an outcome is what the gateway knows."""
    expected = FAILURES.get(kind_of(outcome.task_id))
    if expected is not None:
        return type(outcome.error) is expected
    return outcome.seed is not None and outcome.seed.seed == f"7{outcome.task_id}"
