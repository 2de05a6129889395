"""Requests to answers: the routes that all gateways have in common."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from email.parser import BytesParser
from email.policy import HTTP
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import attrs

from ._dialects import GatewayDialect, envelope
from ._parts import Answer, FakeRequest, FakeTask, as_json, camel_case

if TYPE_CHECKING:
    from collections.abc import Iterable


@attrs.frozen
class Responder:
    """Answers requests in one dialect.

    Args:
        dialect: How.
        api_key: The key that is accepted.
        tasks: What it knows, by id.
        known_seeds: Ids whose seed has been asked for; C# tells those unasked.
        seed_asks: How often that was in vain.
    """

    dialect: GatewayDialect
    api_key: str
    tasks: Mapping[str, FakeTask]
    known_seeds: set[str] = attrs.field(factory=set)
    seed_asks: Counter[str] = attrs.field(factory=Counter)

    def answer(self, request: FakeRequest) -> Answer:
        """Answer as the gateway would."""
        path = request.target.partition("?")[0]
        match = re.fullmatch(rf"(?:/(?:{self.dialect.mode}))?/mj/task/(.+)", path)
        if match is None:
            return self.dialect.no_route(path)
        if not self.dialect.accepts(request.headers, self.api_key):
            return self.dialect.refusal
        return self._route(request, match[1]) or self.dialect.no_route(path)

    def _route(self, request: FakeRequest, rest: str) -> Answer | None:
        if rest == "list-by-condition":
            return self._list(request) if request.method == "POST" else None
        task_id, _, verb = rest.rpartition("/")
        if request.method != "GET" or "/" in task_id or verb not in ("fetch", "image-seed"):
            return None
        if verb == "fetch":
            return self._fetch(unquote(task_id), request.at)
        if self.dialect.seed_by_path:
            return self._seed(unquote(task_id), request.at)
        documented = self.dialect.bare_list and not task_id
        return self._documented_seed(request) if documented else None

    def _fetch(self, task_id: str, now: float) -> Answer:
        if task_id not in self.tasks:
            return self.dialect.unknown["fetch"]
        return as_json(self._write(task_id, now))

    def _write(self, task_id: str, now: float) -> dict[str, Any]:
        task = self.tasks[task_id]
        seed = task.seed if task_id in self.known_seeds else None
        written = self.dialect.write(task.at(now), seed, now)
        return {**written, **{camel_case(name): value for name, value in task.fields.items()}}

    def _list(self, request: FakeRequest) -> Answer:
        ids = read_ids(request, self.dialect.encoding)
        if ids is None:
            return self.dialect.not_understood
        # In the order of the database, not of the request.
        found = [self._write(task_id, request.at) for task_id in self.tasks if task_id in ids]
        return as_json(found[0] if self.dialect.bare_list and found else found)

    def _seed(self, task_id: str, now: float) -> Answer:
        task = self.tasks.get(task_id)
        if task is None:
            return self.dialect.unknown["image-seed"]
        content_type = self.dialect.seed_content_type
        if not task.at(now).succeeded:
            return envelope(400, 4, "关联任务状态错误", None, content_type)
        if task.seed is None:
            return envelope(200, 3, "未找到 seed", None, content_type)
        if self._is_late(task):
            return self.dialect.late
        self.known_seeds.add(task_id)
        return envelope(200, 1, "成功", task.seed, content_type)

    def _is_late(self, task: FakeTask) -> bool:
        late = self.seed_asks[task.id] < task.seed_asks - 1
        self.seed_asks[task.id] += late
        return late

    def _documented_seed(self, request: FakeRequest) -> Answer:
        """Answer with a task; the documents' example has no seed, ours has one where it can."""
        ids = [one for one in read_ids(request, "multipart") or () if one in self.tasks]
        if not ids:
            return self.dialect.unknown["image-seed"]
        task = self.tasks[ids[0]]
        if self._is_late(task):
            return self.dialect.late
        seed = {} if task.seed is None or not task.at(request.at).succeeded else {"seed": task.seed}
        return as_json({**self._write(task.id, request.at), **seed})


def read_ids(request: FakeRequest, encoding: str) -> list[str] | None:
    """Read the ids of a request; None where they are not in this encoding."""
    if encoding == "multipart":
        return _read_form(request)
    try:
        ids = json.loads(request.body)["ids"]
    except (ValueError, KeyError, TypeError):
        return None
    return ids if _all_strings(ids) else None


def _all_strings(ids: Any) -> bool:
    return isinstance(ids, list) and all(isinstance(one, str) for one in ids)


def _read_form(request: FakeRequest) -> list[str] | None:
    content_type = request.headers.get("content-type", "")
    if not content_type.startswith("multipart/form-data"):
        return None
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    parts: Iterable[Any] = BytesParser(policy=HTTP).parsebytes(head + request.body).iter_parts()
    return [
        part.get_payload(decode=True).decode()
        for part in parts
        if part.get_param("name", header="content-disposition") == "ids"
    ]
