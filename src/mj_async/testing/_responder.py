"""Responds to requests: the routes, which all gateways have in common, and the ids in a body."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any
from urllib.parse import unquote

import attrs

from ._dialects import GatewayDialect
from ._models import FakeRequest, FakeResponse, FakeTask, TaskSnapshot, json_response
from ._responses import upstream_error

_SLASHED = ("/fetch/", "/image-seed/", "/list-by-condition/")


class WrongEncodingError(Exception):
    """The ids are in another encoding than the gateway reads."""


class MalformedIdsError(Exception):
    """The ids are not a list of ids."""


@attrs.frozen
class Responder:
    """Responds to requests in one dialect."""

    dialect: GatewayDialect
    api_key: str
    tasks: Mapping[str, FakeTask]
    # Ids whose seed was requested: the C# gateway then shows it with the task.
    known_seeds: set[str] = attrs.field(factory=set)
    # How many requests for the seed of an id got none.
    seed_asks: Counter[str] = attrs.field(factory=Counter)

    def forget(self, task_id: str) -> None:
        """Forget the requests for an id: its task was replaced."""
        self.known_seeds.discard(task_id)
        self.seed_asks.pop(task_id, None)

    def respond(self, request: FakeRequest) -> FakeResponse:
        path = request.target.partition("?")[0]
        match = re.fullmatch(rf"(?:/({self.dialect.mode}))?/mj/task/(.+)", path)
        if match is None:
            return self.dialect.no_route(path)
        if self.dialect.redirects and path.endswith(_SLASHED):
            return _redirect(request.method, path.removesuffix("/"))
        if match[1] and not re.fullmatch(self.dialect.modes, match[1]):
            return upstream_error("无效的加速模式")
        if not self.dialect.accepts(request.headers, self.api_key):
            return self.dialect.responses["key"]
        return self._route(request, match[2]) or self.dialect.no_route(path)

    def _route(self, request: FakeRequest, rest: str) -> FakeResponse | None:
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

    def _fetch(self, task_id: str, now: float) -> FakeResponse:
        if task_id not in self.tasks:
            return self.dialect.unknown["fetch"]
        return json_response(self._serialize(task_id, now))

    def _serialize(self, task_id: str, now: float) -> dict[str, Any]:
        task = self.tasks[task_id]
        return self.serialize(task, task.snapshot_at(now), now)

    def serialize(self, task: FakeTask, snapshot: TaskSnapshot, now: float) -> dict[str, Any]:
        seed = task.seed if task.id in self.known_seeds else None
        return {**self.dialect.serialize(snapshot, seed, now), **task.fields_at(snapshot)}

    def _list(self, request: FakeRequest) -> FakeResponse:
        try:
            ids = self._read_ids(request)
        except WrongEncodingError:
            return self.dialect.wrong_encoding
        except MalformedIdsError:
            return self.dialect.malformed_ids
        # Gateways return them in the order of their database, not of the request.
        found = [self._serialize(task_id, request.at) for task_id in self.tasks if task_id in ids]
        return json_response(found[0] if self.dialect.bare_list and found else found)

    def _read_ids(self, request: FakeRequest) -> list[str]:
        if self.dialect.encoding == "form":
            return read_form(request)
        any_type = self.dialect.encoding == "any"
        return read_json(request, any_type=any_type, numbers_are_ids=self.dialect.numbers_are_ids)

    def _seed(self, task_id: str, now: float) -> FakeResponse:
        task = self.tasks.get(task_id)
        if task is None:
            return self.dialect.unknown["image-seed"]
        envelope = self.dialect.envelope
        if not task.snapshot_at(now).succeeded:
            return envelope(400, 4, "关联任务状态错误", None)
        if task.seed is None:
            return envelope(200, 3, "未找到 seed", None)
        if self._is_seed_delayed(task):
            return self.dialect.responses["no time"]
        self.known_seeds.add(task_id)
        return envelope(200, 1, "成功", task.seed)

    def _is_seed_delayed(self, task: FakeTask) -> bool:
        is_delayed = self.seed_asks[task.id] < task.seed_asks - 1
        self.seed_asks[task.id] += is_delayed
        return is_delayed

    def _documented_seed(self, request: FakeRequest) -> FakeResponse:
        # The example in the documents has no seed; this task has one if there is one.
        try:
            ids = [one for one in read_form(request) if one in self.tasks]
        except WrongEncodingError:
            ids = []
        if not ids:
            return self.dialect.unknown["image-seed"]
        task = self.tasks[ids[0]]
        if self._is_seed_delayed(task):
            return self.dialect.responses["no time"]
        seed = (
            {}
            if task.seed is None or not task.snapshot_at(request.at).succeeded
            else {"seed": task.seed}
        )
        return json_response({**self._serialize(task.id, request.at), **seed})


def _redirect(method: str, path: str) -> FakeResponse:
    # As gin, the web framework of new-api and one-hub, responds to a slash at the end.
    status, words = (301, "Moved Permanently") if method == "GET" else (307, "Temporary Redirect")
    page = f'<a href="{path}">{words}</a>.\n\n'.encode()
    headers = {"location": path, "content-type": "text/html; charset=utf-8"}
    return FakeResponse(status, page, headers)


def read_form(request: FakeRequest) -> list[str]:
    """Return the fields `ids` of a multipart form.

    Raises:
        WrongEncodingError: The body is not a multipart form.
    """
    content_type = request.headers.get("content-type", "")
    if not content_type.startswith("multipart/form-data"):
        raise WrongEncodingError
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    parts: Iterable[Any] = BytesParser(policy=HTTP).parsebytes(head + request.body).iter_parts()
    return [
        part.get_payload(decode=True).decode()
        for part in parts
        if part.get_param("name", header="content-disposition") == "ids"
    ]


def read_json(request: FakeRequest, *, any_type: bool, numbers_are_ids: bool) -> list[str]:
    """Return the ids of `{"ids": […]}`; without that key, there are none.

    Raises:
        WrongEncodingError: The Content-Type is not JSON.
        MalformedIdsError: The body is not JSON, or has invalid ids.
    """
    if not (any_type or "json" in request.headers.get("content-type", "")):
        raise WrongEncodingError
    try:
        ids = json.loads(request.body).get("ids") or []
    except (ValueError, AttributeError):
        raise MalformedIdsError from None
    kinds = (str, int) if numbers_are_ids else str
    if not (isinstance(ids, list) and all(isinstance(one, kinds) for one in ids)):
        raise MalformedIdsError
    return list(map(str, ids))
