"""A gateway in this process whose answers a test controls."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import anyio
import anyio.lowlevel
import httpx

from mj_async import AsyncMJClient, RetryPolicy

KEY = "sk-slow-gateway-key"


class ScriptedGateway:
    """A gateway with a seed for every id.

    Args:
        held: Ids whose seed it returns only after `release`.
        prompt: The prompt of every task.
    """

    def __init__(self, *held: str, prompt: str = "a pig") -> None:
        self.held = set(held)
        self.prompt = prompt
        self.asked: Counter[str] = Counter()
        self.refuses: set[str] = set()
        self.raises: BaseException | None = None
        self.missing_seeds: Counter[str] = Counter()
        self.fails: set[str] = set()
        self.lists = True
        self.is_away = False
        self.connects = 0
        self.most_at_once = self.under_way = 0
        self._released = anyio.Event()

    def client(self, **options: Any) -> AsyncMJClient:
        """Return a client of this gateway."""
        transport = httpx.MockTransport(self._answer)
        return AsyncMJClient(
            KEY,
            base_url="https://gateway.test",
            retry=RetryPolicy(attempts=1),
            http_client=httpx.AsyncClient(transport=transport),
            **options,
        )

    def release(self) -> None:
        """Answer the held requests, now and later."""
        self._released.set()

    async def until_asked(self, *task_ids: str) -> None:
        """Wait until these seeds have been requested."""
        with anyio.fail_after(20):
            while not self.asked.keys() >= set(task_ids):  # noqa: ASYNC110
                await anyio.sleep(0.01)

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        self.connects += 1
        if self.is_away:
            raise httpx.ConnectError("connection refused")
        if request.url.path.endswith("/list-by-condition") and not self.lists:
            return httpx.Response(404, text="404 page not found")
        if request.url.path.endswith("/list-by-condition"):
            ids = json.loads(request.content)["ids"]
            row = {"status": "SUCCESS", "prompt": self.prompt, "imageUrl": "https://a.test/b.png"}
            return httpx.Response(200, json=[{"id": one, **row} for one in ids])
        task_id = request.url.path.split("/")[-2]
        self.asked[task_id] += 1
        return await self._answer_seed(task_id)

    async def _answer_seed(self, task_id: str) -> httpx.Response:
        self.under_way += 1
        self.most_at_once = max(self.most_at_once, self.under_way)
        try:
            await anyio.lowlevel.checkpoint()
            if task_id in self.held:
                await self._released.wait()
        finally:
            self.under_way -= 1
        if self.raises is not None:
            raise self.raises
        if task_id in self.refuses:
            return httpx.Response(401, json={"error": {"message": "invalid token"}})
        if task_id in self.fails:
            return httpx.Response(502, text="bad gateway")
        if self.missing_seeds[task_id]:
            self.missing_seeds[task_id] -= 1
            return httpx.Response(200, json={"code": 9, "description": "no luck"})
        return httpx.Response(200, json={"code": 1, "result": f"7{task_id}"})
