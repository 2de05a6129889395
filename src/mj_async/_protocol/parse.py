"""What an answer means: (status, headers, body) to a model or an error. Pure.

It is decided by the body, not by Content-Type: new-api sends JSON as text/plain. The gateways
page, "Refusals", lists what is told apart here.
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


# --- what kind of answer it is ----------------------------------------------------------------


def _is_task(raw: Any) -> bool:
    """Tell a task from an envelope: both may have `description`, and Spring's `status`."""
    if not isinstance(raw, dict):
        return False
    if raw.get("id"):
        return not _TASK_KEYS.isdisjoint(raw) or _REFUSAL_KEYS.isdisjoint(raw)
    return len(_TASK_KEYS.intersection(raw)) >= 2


def _unwrap(raw: Any) -> Any:
    """Take a task or a list of tasks out of `{"data": …}`, `{"result": …}`, `{"list": …}`."""
    if not isinstance(raw, dict) or _is_task(raw):
        return raw
    inside = (raw.get(key) for key in _ENVELOPE_KEYS)
    return next((value for value in inside if _is_task(value) or _is_list(raw, value)), raw)


def _is_list(envelope: dict[str, Any], value: Any) -> bool:
    refused = str(envelope.get("code", 1)) not in ("0", "1", "200")
    return isinstance(value, list) and not refused and envelope.get("success") is not False


def _parse_body(response: APIResponse) -> Any:
    """Give the JSON of an answer that is no refusal by its status; None for an empty one.

    Raises:
        UnexpectedAnswerError: It is a redirect, a page, or no JSON.
        APIError: The status says no.
    """
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
    """Tell an unknown id from an unknown route; code 0 is new-api relaying the latter."""
    envelope = isinstance(raw, dict) and raw.get("code") not in (None, 0, "", "0")
    return errors.TaskNotFoundError if envelope else errors.UnsupportedError


def _json_or_none(response: APIResponse) -> Any:
    try:
        return read_json(response.body)
    except ValueError:
        return None


def _error_in_200(response: APIResponse, raw: Any) -> errors.MJError:
    """Make the error for a 2xx whose body is neither a task nor a list of them."""
    code = refusal_code(raw)
    if not isinstance(raw, dict) or (code is None and not refusal_text(raw)):
        return response.unexpected("json")
    text = refusal_text(raw).strip()
    if text == "task_no_found":
        return response.refusal(errors.TaskNotFoundError, raw)
    if text == "API 404 Not Found":  # Webman's word for a route that it does not have
        return response.refusal(errors.UnsupportedError, raw)
    return response.refusal(_BY_CODE.get(str(code), errors.APIError), raw)


# --- the three answers ------------------------------------------------------------------------


def _structure_tasks(response: APIResponse, rows: list[dict[str, Any]]) -> list[Task]:
    try:
        return [structure_task(row) for row in rows]
    except ValueError:
        pass
    raise response.unexpected("json")


def _refuse_other_id(response: APIResponse, raw: dict[str, Any], *, allow_absent_id: bool) -> Task:
    """Structure the task that was asked for; `fill`: an answer without id is about it."""
    (task,) = _structure_tasks(response, [raw])
    if not task.id and allow_absent_id:
        return attrs.evolve(task, id=response.task_id or "")
    if task.id != response.task_id:
        raise response.unexpected("other task")
    return task


def parse_task_response(response: APIResponse) -> Task:
    """Read the answer to `fetch`.

    Raises:
        TaskNotFoundError: The answer is one of the five that mean so.
        APIError: The gateway said no.
        UnexpectedAnswerError: It is not this API, or another task.
    """
    raw = _unwrap(_parse_body(response))
    if raw is None:
        raise response.refusal(errors.TaskNotFoundError, {})
    if not _is_task(raw):
        raise _error_in_200(response, raw)
    return _refuse_other_id(response, raw, allow_absent_id=True)


@attrs.frozen
class TaskPage:
    """The tasks of one list answer.

    Args:
        tasks: In the order of the answer; an id may be there twice.
        bare: Whether it was one task instead of an array, as the documents show it: such a
            gateway answers one id a call.
    """

    tasks: tuple[Task, ...] = ()
    is_single_task: bool = False


def parse_list_response(response: APIResponse) -> TaskPage:
    """Read the answer to `list-by-condition`: an array, one task, an envelope, or nothing.

    Raises:
        APIError: The gateway said no.
        UnexpectedAnswerError: It is not this API.
    """
    raw = _unwrap(_parse_body(response))
    if raw is None:
        return TaskPage()
    if _is_task(raw):
        (task,) = _structure_tasks(response, [raw])
        # Where one id was asked for, a task without one is about it.
        return TaskPage(
            (attrs.evolve(task, id=task.id or response.task_id or ""),), is_single_task=True
        )
    if not isinstance(raw, list):
        raise _error_in_200(response, raw)
    rows = [item for item in raw if item not in (None, {})]
    if not all(map(_is_task, rows)):
        raise response.unexpected("json")
    return TaskPage(tuple(_structure_tasks(response, rows)))


def parse_seed_response(response: APIResponse, source: SeedSource) -> ImageSeed:
    """Read the answer to `image-seed`: an envelope, or a task as the documents show it.

    Raises:
        SeedUnavailableError: The envelope has none, whatever its status below 500.
        TaskNotFoundError: The id is unknown.
        APIError: The gateway said no.
        UnexpectedAnswerError: It is not this API, or another task.
    """
    try:
        raw = _parse_body(response)
    except errors.APIError as error:
        if type(error) is not errors.APIError or error.code is None:
            raise
        refused = error
    else:
        return _parse_seed(response, raw, source)
    raise _seed_unavailable(response, refused.code, refused.description)


def _parse_seed(response: APIResponse, raw: Any, source: SeedSource) -> ImageSeed:
    if raw is None:
        raise response.refusal(errors.TaskNotFoundError, {})
    task_id, raw = response.task_id or "", _unwrap_single(raw)
    inner = _unwrap_single(_unwrap(raw))
    if _is_task(inner):
        task = _refuse_other_id(response, inner, allow_absent_id=source == "image-seed")
        return ImageSeed(task_id, task.seed, source, task)
    seed = _seed_in_envelope(raw)
    if seed is not None:
        return ImageSeed(task_id, seed, source)
    refusal = _error_in_200(response, raw)
    if isinstance(refusal, errors.APIError) and (
        type(refusal) is errors.APIError or _is_code_3(raw)
    ):
        raise _seed_unavailable(response, refusal.code, refusal.description)
    raise refusal


def _unwrap_single(raw: Any) -> Any:
    return raw[0] if isinstance(raw, list) and len(raw) == 1 else raw


def _is_code_3(raw: Any) -> bool:
    """Whether it is C#'s code 3: with a 200 it means that no account or no seed was found."""
    return str(refusal_code(raw)) == "3"


def _seed_in_envelope(raw: Any) -> str | None:
    if not isinstance(raw, dict) or str(raw.get("code", 1)) != "1":
        return None
    seed = parse_seed(raw.get("result"))
    properties = raw.get("properties")
    if seed is None and isinstance(properties, dict):
        seed = parse_seed(properties.get("seed"))
    return seed


def _seed_unavailable(
    response: APIResponse, code: int | str | None, refusal_text: str
) -> errors.SeedUnavailableError:
    return errors.SeedUnavailableError(
        task_id=response.task_id or "", code=code, description=refusal_text
    )


def parse_task(payload: bytes | str | Mapping[str, Any]) -> Task:
    """Read the body of a webhook (`notifyHook`), which is a task as `fetch_task` gives it.

    Webhooks are unsigned, repeated and out of order (gateways page, "Webhooks"): take one as a
    hint, and ask.

    Args:
        payload: The body as bytes or text, or its JSON object.

    Returns:
        The task.

    Raises:
        UnexpectedAnswerError: It is no task, or has no id.
    """
    given: object = payload  # a webhook's body, whatever a user's framework makes of it
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
    _parse_body(response)  # which tells a page, and what was cut
    raise response.unexpected("json")
