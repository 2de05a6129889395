"""Webhooks: an outbox of changes in order, and the sender, which runs while it is entered."""

from __future__ import annotations

import json
from bisect import insort
from typing import TYPE_CHECKING

import anyio
import attrs
import httpx
from anyio.lowlevel import checkpoint

from ._models import FakeTask, FakeWebhook

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from ._clock import GatewayClock
    from ._responder import Responder


@attrs.frozen
class _Change:
    """A change of a task that must still be sent."""

    at: float  # on the gateway's clock
    age: float  # of the task, in seconds
    task: FakeTask


def _change_time(change: _Change) -> float:
    return change.at


@attrs.define(eq=False)
class Outbox:
    """The changes that a gateway must still send, each of them once."""

    _clock: GatewayClock
    _responder: Responder
    _changes: list[_Change] = attrs.field(factory=list, init=False)
    _changed: anyio.Event = attrs.field(factory=anyio.Event, init=False)

    def add(self, task: FakeTask) -> None:
        if task.notify_hook is None:
            return
        for age in task.changes(repeats_unchanged=self._responder.dialect.repeats_unchanged):
            # Changes at the same time keep the order in which they were added.
            insort(self._changes, _Change(task.added_at + age, age, task), key=_change_time)
        self.notify()

    def drop(self, task_id: str) -> None:
        self._changes = [change for change in self._changes if change.task.id != task_id]

    def notify(self) -> None:
        self._changed.set()

    async def wait(self) -> None:
        """Wait for the time of the next change, or for a call of `notify`."""
        if self._changed.is_set():
            self._changed = anyio.Event()
        await self._clock.wait_until(self._changes[0].at if self._changes else None, self._changed)

    def pop_due(self) -> _Change | None:
        due = self._changes and self._changes[0].at <= self._clock.now()
        return self._changes.pop(0) if due else None

    def serialize(self, change: _Change) -> bytes:
        snapshot = change.task.snapshot_at_age(change.age)
        written = self._responder.serialize(change.task, snapshot, change.at)
        return json.dumps(written, ensure_ascii=False).encode()


@attrs.define(eq=False)
class Webhooks:
    """Sends webhooks while it is entered."""

    _outbox: Outbox
    _clock: GatewayClock
    _http_client: httpx.AsyncClient | None
    _sent: list[FakeWebhook] = attrs.field(factory=list, init=False)
    _is_leaving: bool = attrs.field(default=False, init=False)
    _receiver_error: Exception | None = attrs.field(default=None, init=False)
    _group: TaskGroup = attrs.field(init=False)

    async def __aenter__(self) -> list[FakeWebhook]:
        self._group = anyio.create_task_group()
        await self._group.__aenter__()
        self._group.start_soon(self._work)
        return self._sent

    async def __aexit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        self._is_leaving = True
        self._outbox.notify()
        if error is not None:
            self._group.cancel_scope.cancel()
        # The task group would wrap the body's exception into a group.
        await self._group.__aexit__(None, None, None)
        if self._receiver_error is not None and (error is None or isinstance(error, Exception)):
            raise self._receiver_error

    async def _work(self) -> None:
        try:
            if self._http_client is not None:
                await self._send_all(self._http_client)
                return
            # trust_env=False: a proxy of the environment cannot reach a test on this machine.
            async with httpx.AsyncClient(trust_env=False) as http_client:
                await self._send_all(http_client)
        except Exception as error:  # noqa: BLE001  # of the receiver; raised when left
            self._receiver_error = error

    async def _send_all(self, http_client: httpx.AsyncClient) -> None:
        while True:
            await checkpoint()  # a receiver in process may never yield to other tasks
            change = self._outbox.pop_due()
            if change is not None:
                await self._send(change, http_client)
            elif self._is_leaving:
                return
            else:
                await self._outbox.wait()

    async def _send(self, change: _Change, http_client: httpx.AsyncClient) -> None:
        task, body, at = change.task, self._outbox.serialize(change), self._clock.now()
        assert task.notify_hook is not None  # noqa: S101  # nothing else is in the outbox
        self._clock.begin_external_wait()
        try:
            status = await _post(http_client, task.notify_hook, body)
        finally:
            self._clock.end_external_wait()
        self._sent.append(FakeWebhook(task.id, task.notify_hook, body, at, status))


async def _post(http_client: httpx.AsyncClient, url: str, body: bytes) -> int | None:
    try:
        answer = await http_client.post(
            url, content=body, headers={"content-type": "application/json"}
        )
    except httpx.HTTPError:
        return None
    return answer.status_code
