"""What an answer means: (status, headers, body) to a model or an error. Pure.

It is decided by the body, not by Content-Type: new-api sends JSON as text/plain. The gateways
page, "Refusals", lists the cases. Each parser raises an APIError for a refusal, and an
UnexpectedAnswerError for an answer that is not of this API or is about another task.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from .. import errors
from .._models import ImageSeed, SeedSource, Task
from .decode import parse_seed, read_json, structure_task
from .response import APIResponse, refusal_code, refusal_text

_TASK_KEYS = frozenset({"status", "action", "progress", "prompt", "submitTime", "imageUrl"})
_REFUSAL_KEYS = frozenset({"code", "error"})
_ENVELOPE_KEYS = ("data", "result", "list")

_BY_STATUS: Mapping[int, type[errors.APIError]] = {
    401: errors.AuthenticationError,
    403: errors.PermissionDeniedError,
    405: errors.UnsupportedError,
    408: errors.ServerError,
    425: errors.ServerError,
    429: errors.RateLimitError,
    501: errors.UnsupportedError,
}
# Refusals inside a 200: Webman's key (403) and unknown id (404), C#'s unknown id (3),
# new-api's overload (30).
_BY_CODE: Mapping[str, type[errors.APIError]] = {
    "3": errors.TaskNotFoundError,
    "30": errors.RateLimitError,
    "401": errors.AuthenticationError,
    "403": errors.AuthenticationError,
    "404": errors.TaskNotFoundError,
    "429": errors.RateLimitError,
    "500": errors.ServerError,
}


# --- the kind of an answer --------------------------------------------------------------------


def _is_task(raw: Any) -> bool:
    # An envelope may have a `description`, too, and Spring's errors have a `status`.
    if not isinstance(raw, dict):
        return False
    if raw.get("id"):
        return not _TASK_KEYS.isdisjoint(raw) or _REFUSAL_KEYS.isdisjoint(raw)
    return len(_TASK_KEYS.intersection(raw)) >= 2


def _unwrap(raw: Any) -> Any:
    # Webman wraps tasks: `{"data": …}`; other gateways use `result` or `list`.
    if not isinstance(raw, dict) or _is_task(raw):
        return raw
    inside = (raw.get(key) for key in _ENVELOPE_KEYS)
    return next((value for value in inside if _is_task(value) or _is_list(raw, value)), raw)


def _is_list(envelope: dict[str, Any], value: Any) -> bool:
    refused = str(envelope.get("code", 1)) not in ("0", "1", "200")
    return isinstance(value, list) and not refused and envelope.get("success") is not False


def _parse_body(response: APIResponse) -> Any:
    """Return the JSON of an answer whose status is no refusal; None for an empty body."""
    status = response.status or 200
    if 300 <= status < 400:
        raise response.unexpected("redirect")
    if status == 407:
        raise errors.TransportError(
            "the proxy asks for a user and password (HTTP 407); put them into proxy=…",
            task_id=response.task_id,
            temporary=False,
        )
    if status >= 400:
        raise _error_of_status(response)
    try:
        return read_json(response.body)
    except ValueError:
        body = response.body.removeprefix(b"\xef\xbb\xbf").strip()
    if not body:
        return None
    if response.is_html:
        raise response.unexpected("html")
    closing = {b"{": b"}", b"[": b"]"}.get(body[:1])
    raise response.unexpected("json" if closing in (None, body[-1:]) else "cut short")


def _error_of_status(response: APIResponse) -> errors.MJError:
    raw = _json_or_none(response)
    if refusal_text(raw).strip() == "task_no_found":
        return response.refusal(errors.TaskNotFoundError, raw)
    status = response.status or 400
    if refusal_text(raw).strip() == "empty_response_body":
        # new-api relays a status of its upstream; its key was refused there, not ours.
        return response.refusal(errors.ServerError, raw)
    if status == 404:
        return response.refusal(_unknown_id_or_unknown_route(raw), raw)
    if status in _BY_STATUS:
        return response.refusal(_BY_STATUS[status], raw)
    if status >= 500:
        return response.refusal(errors.ServerError, raw)
    return (
        response.unexpected("html") if response.is_html else response.refusal(errors.APIError, raw)
    )


def _unknown_id_or_unknown_route(raw: Any) -> type[errors.APIError]:
    # Code 0 is new-api relaying an unknown route.
    envelope = isinstance(raw, dict) and raw.get("code") not in (None, 0, "", "0")
    return errors.TaskNotFoundError if envelope else errors.UnsupportedError


def _json_or_none(response: APIResponse) -> Any:
    try:
        return read_json(response.body)
    except ValueError:
        return None


def _error_in_200(response: APIResponse, raw: Any) -> errors.MJError:
    code = refusal_code(raw)
    if not isinstance(raw, dict) or (code is None and not refusal_text(raw)):
        return response.unexpected("json")
    text = refusal_text(raw).strip()
    if text == "task_no_found":
        return response.refusal(errors.TaskNotFoundError, raw)
    if text == "API 404 Not Found":  # Webman's text for an unknown route
        return response.refusal(errors.UnsupportedError, raw)
    return response.refusal(_BY_CODE.get(str(code), errors.APIError), raw)


# --- the three answers ------------------------------------------------------------------------


def _structure(response: APIResponse, raw: dict[str, Any]) -> Task:
    try:
        return structure_task(raw)
    except ValueError:
        pass
    raise response.unexpected("json")


def _refuse_other_id(response: APIResponse, task: Task, *, allow_absent_id: bool) -> Task:
    if not task.id and allow_absent_id:
        return attrs.evolve(task, id=response.task_id or "")
    if task.id != response.task_id:
        raise response.unexpected("other task")
    return task


def parse_task_response(response: APIResponse) -> Task:
    """Parse the answer to `fetch`."""
    raw = _unwrap(_parse_body(response))
    if raw is None:
        raise response.refusal(errors.TaskNotFoundError, {})
    if not _is_task(raw):
        raise _error_in_200(response, raw)
    return _refuse_other_id(response, _structure(response, raw), allow_absent_id=True)


@attrs.frozen
class TaskPage:
    """The tasks of one list answer, in its order; an id may appear twice.

    `is_single_task` is True if the answer is one task instead of an array, as the documents show
    it: such a gateway answers one id per call.
    """

    tasks: tuple[Task, ...] = ()
    is_single_task: bool = False


def parse_list_response(response: APIResponse) -> TaskPage:
    """Parse the answer to `list-by-condition`: an array, one task, an envelope, or nothing."""
    raw = _unwrap(_parse_body(response))
    if raw is None:
        return TaskPage()
    if _is_task(raw):
        task = _structure(response, raw)
        # Where one id was asked for, a task without an id is about it.
        task = attrs.evolve(task, id=task.id or response.task_id or "")
        return TaskPage((task,), is_single_task=True)
    if not isinstance(raw, list):
        raise _error_in_200(response, raw)
    tasks = []
    for row in raw:
        if _is_task(row):
            tasks.append(_structure(response, row))
        elif row not in (None, {}):
            raise response.unexpected("json")
    return TaskPage(tuple(tasks))


def parse_seed_response(response: APIResponse, source: SeedSource) -> ImageSeed:
    """Parse the answer to `image-seed`: an envelope, or a task as the documents show it.

    Raises:
        SeedUnavailableError: The envelope has no seed, whatever its status below 500.
    """
    try:
        return _parse_seed(response, _parse_body(response), source)
    except errors.APIError as error:
        by_status = (response.status or 200) >= 400
        if type(error) is errors.APIError:
            unavailable = error.code is not None or not by_status
        else:  # C#'s code 3 with a 200: no account, or no seed, was found
            unavailable = str(error.code) == "3" and not by_status
        if not unavailable:
            raise
        code, description = error.code, error.description
    raise errors.SeedUnavailableError(
        task_id=response.task_id or "", code=code, description=description
    )


def _parse_seed(response: APIResponse, raw: Any, source: SeedSource) -> ImageSeed:
    if raw is None:
        raise response.refusal(errors.TaskNotFoundError, {})
    task_id, raw = response.task_id or "", _unwrap_single(raw)
    inner = _unwrap_single(_unwrap(raw))
    if _is_task(inner):
        task = _structure(response, inner)
        task = _refuse_other_id(response, task, allow_absent_id=source == "image-seed")
        return ImageSeed(task_id, task.seed, source, task)
    seed = _seed_in_envelope(raw)
    if seed is not None:
        return ImageSeed(task_id, seed, source)
    raise _error_in_200(response, raw)


def _unwrap_single(raw: Any) -> Any:
    return raw[0] if isinstance(raw, list) and len(raw) == 1 else raw


def _seed_in_envelope(raw: Any) -> str | None:
    if not isinstance(raw, dict) or str(raw.get("code", 1)) != "1":
        return None
    seed = parse_seed(raw.get("result"))
    properties = raw.get("properties")
    if seed is None and isinstance(properties, dict):
        seed = parse_seed(properties.get("seed"))
    return seed


def parse_task(payload: bytes | str | Mapping[str, Any]) -> Task:
    """Parse the body of a webhook (`notifyHook`), which is a task as `fetch_task` returns it.

    Webhooks are unsigned, repeated and out of order (gateways page, "Webhooks"): treat one as a
    hint, and fetch the task.

    Args:
        payload: The body as bytes or text, or its JSON object.

    Returns:
        The task.

    Raises:
        UnexpectedAnswerError: The body is no task, or has no id.
    """
    given: object = payload  # frameworks pass bytes, texts or mappings
    if isinstance(given, str):
        given = given.encode(errors="surrogatepass")
    body = bytes(given) if isinstance(given, bytes | bytearray) else b""
    try:
        if body:
            given = read_json(body)
        elif isinstance(given, Mapping):
            given = dict(given)
        raw = _unwrap(given)
        task = structure_task(raw) if _is_task(raw) else None
    except ValueError:
        task = None
    if task is not None and task.id:
        return task
    response = APIResponse(body=body)
    _parse_body(response)  # raises for a page, and for a body that was cut
    raise response.unexpected("json")
