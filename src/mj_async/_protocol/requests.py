"""The requests: method, path, headers and body of each call in each dialect. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias
from urllib.parse import quote

import attrs
import httpx

from .response import printable

if TYPE_CHECKING:
    from .._credentials import Secret

Scheme: TypeAlias = Literal["bearer", "mj-api-secret", "raw", "none"]
Encoding: TypeAlias = Literal["json", "multipart"]
SeedRoute: TypeAlias = Literal["path", "multipart"]

# In the order in which "auto" tries them: the documents' first, then what Java and one-hub
# take, then what the C# gateway takes (gateways page, "Authentication").
SCHEMES: tuple[Scheme, ...] = ("bearer", "mj-api-secret", "raw")


@attrs.frozen
class APIRequest:
    """A request without the address and the key of a gateway.

    `path` follows base_url, and a double slash in it must stay. `form` has the ids of a multipart
    body, a field `ids` each. `task_id` is for errors; None if the request is about many tasks.
    """

    method: str
    path: str
    json_body: bytes | None = None
    form: tuple[str, ...] = ()
    task_id: str | None = None


def fetch(task_id: str) -> APIRequest:
    """Build the request for one task, which is the same at every gateway."""
    return APIRequest("GET", f"/mj/task/{quote(task_id, safe='')}/fetch", task_id=task_id)


def list_tasks(task_ids: Sequence[str], encoding: Encoding) -> APIRequest:
    """Build the request for tasks by id: JSON as gateways read it, or multipart as documented."""
    path = "/mj/task/list-by-condition"
    only_id = task_ids[0] if len(task_ids) == 1 else None
    if encoding == "multipart":
        return APIRequest("POST", path, form=tuple(task_ids), task_id=only_id)
    # Strings, never numbers: ids may begin with a zero, and C# refuses numbers.
    body = json.dumps({"ids": list(task_ids)}, ensure_ascii=False).encode()
    return APIRequest("POST", path, json_body=body, task_id=only_id)


def image_seed(task_id: str, route: SeedRoute) -> APIRequest:
    """Build the request for a seed: by path as gateways read it, or by the documented form.

    In the documents Apifox left the path variable empty (gateways page, "The image's seed").
    """
    if route == "multipart":
        return APIRequest("GET", "/mj/task//image-seed", form=(task_id,), task_id=task_id)
    return APIRequest("GET", f"/mj/task/{quote(task_id, safe='')}/image-seed", task_id=task_id)


def image_seeds(task_ids: Sequence[str]) -> APIRequest:
    """Build the request for several seeds, by the documented form."""
    return APIRequest("GET", "/mj/task//image-seed", form=tuple(task_ids))


def authorization(scheme: Scheme, key: Secret) -> dict[str, str]:
    """Return the one header that carries the key; two at once break the C# gateway."""
    if scheme == "none":
        return {}
    if scheme == "raw":
        return {"Authorization": key.reveal()}
    if scheme == "bearer":
        return {"Authorization": f"Bearer {key.reveal_bare()}"}
    return {"mj-api-secret": key.reveal_bare()}


def request_kwargs(
    request: APIRequest, base_url: str, scheme: Scheme, key: Secret, headers: Mapping[str, str]
) -> dict[str, Any]:
    """Return the arguments of `httpx.Request`.

    Args:
        request: The request.
        base_url: The gateway's address.
        scheme: How the key is sent.
        key: The key.
        headers: The headers that all requests have.
    """
    content_type = {} if request.json_body is None else {"Content-Type": "application/json"}
    return {
        "method": request.method,
        "url": base_url + request.path,
        "headers": {**headers, **authorization(scheme, key), **content_type},
        "content": request.json_body,
        # httpx makes the boundary, and the Content-Type that names it.
        "files": [("ids", (None, one)) for one in request.form] if request.form else None,
    }


def label(request: APIRequest, base_url: str, key: Secret) -> str:
    """Return the name of a request, without the key, which may have been taken for an id."""
    host = httpx.URL(base_url).netloc.decode()
    return printable(f"{request.method} {request.path} of {host}", key)
