"""A server for the cancellation sweep, which sends each answer in three parts."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from _http_server import ReceivedRequest, read_request

from _sockets import Connection, RawServer

# Long enough that a client reads the parts one by one, so that each call needs the same steps.
_BETWEEN_PARTS = 0.002


class SweepServer(RawServer):
    """A server for the three calls, which knows how far the current answer is."""

    def __init__(self) -> None:
        super().__init__(self._answer_all)
        self.reached = "nothing"
        self._waited_for: set[str] = set()

    async def _answer_all(self, connection: Connection) -> None:
        while True:
            request = await read_request(connection)
            body = json.dumps(self._answer_to(request)).encode()
            middle = len(body) // 2
            self.reached = "in the body"
            await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
            await asyncio.sleep(_BETWEEN_PARTS)
            await connection.send(body[:middle])
            await asyncio.sleep(_BETWEEN_PARTS)
            self.reached = "answered"
            await connection.send(body[middle:])

    def _answer_to(self, request: ReceivedRequest) -> Any:
        *_, task_id, verb = request.target.split("/")
        if verb == "list-by-condition":
            return [self._task(one) for one in json.loads(request.body)["ids"]]
        if verb == "image-seed":
            return {"code": 1, "description": "ok", "result": "5"}
        return self._task(task_id)

    def _task(self, task_id: str) -> dict[str, str]:
        if task_id.startswith("wait") and task_id not in self._waited_for:
            self._waited_for.add(task_id)
            return {"id": task_id, "status": "IN_PROGRESS", "progress": "40%"}
        picture = "https://cdn.example/1.png"
        return {"id": task_id, "status": "SUCCESS", "progress": "100%", "imageUrl": picture}
