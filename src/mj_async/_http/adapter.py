"""What httpx is given for a request, how its answer is read, and what its failures mean."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import anyio
import httpx

from .. import errors
from .._protocol.requests import authorization
from .._protocol.response import Reply, clean
from .retry import read_retry_after

if TYPE_CHECKING:
    from .._config import Settings
    from .._credentials import Secret
    from .._protocol.requests import Ask, Scheme

# What httpx and the layers below it raise for an exchange that failed.
TRANSPORT_FAULTS = (
    httpx.HTTPError,
    httpx.InvalidURL,
    httpx.StreamError,
    OSError,
    UnicodeError,
    anyio.ClosedResourceError,
    anyio.BrokenResourceError,
)

# httpx counts the time of each read, by which a drip never ends; the attempt's deadline does.
_NO_TIMEOUTS = {"timeout": httpx.Timeout(None).as_dict()}


def parts_of(
    ask: Ask, scheme: Scheme, settings: Settings, headers: Mapping[str, str]
) -> dict[str, Any]:
    """Give what `httpx.Request` is made of.

    Args:
        ask: What to ask.
        scheme: How the key is sent.
        settings: The client's.
        headers: Those that all requests have.
    """
    return {
        "method": ask.method,
        "url": settings.base_url + ask.path,
        "headers": {
            **headers,
            **authorization(scheme, settings.key),
            **({} if ask.json_body is None else {"Content-Type": "application/json"}),
        },
        "content": ask.json_body,
        # httpx makes the boundary, and the Content-Type that names it.
        "files": [("ids", (None, task_id)) for task_id in ask.form] or None,
        "extensions": _NO_TIMEOUTS,
    }


def name_of(ask: Ask, settings: Settings) -> str:
    """Name a request, without the key: somebody may have taken it for an id."""
    host = httpx.URL(settings.base_url).netloc.decode()
    return clean(f"{ask.method} {ask.path} of {host}", settings.key)


def describe(error: Exception, ask: Ask, settings: Settings) -> errors.TransportError:
    """Make our error of one of httpx's; those hold the request with its key."""
    untrusted = _is_untrusted(error)
    refused_by_proxy = isinstance(error, httpx.ProxyError) and "407" in str(error)
    text = clean(str(error), settings.key)
    said = f"{type(error).__name__}: {text}" if text else type(error).__name__
    advice = "; the gateway's certificate is not trusted" if untrusted else ""
    return errors.TransportError(
        f"{name_of(ask, settings)} failed ({said}){advice}",
        task_id=ask.task_id,
        temporary=not (untrusted or refused_by_proxy),
    )


def _is_untrusted(error: BaseException | None) -> bool:
    """Whether a bad certificate is behind it; under trio the error itself does not say so."""
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return error is not None


async def read_reply(
    response: httpx.Response, ask: Ask, key: Secret, limit: int, wall_time: float
) -> Reply:
    """Read an answer to its end, and one byte more than the limit at most.

    Args:
        response: The answer.
        ask: What was asked.
        key: What must not be quoted.
        limit: The most bytes that the body may have.
        wall_time: The time of day in Unix seconds, for a Retry-After.
    """
    headers = response.headers
    if response.is_stream_consumed:  # by respx, MockTransport or a hook of the caller's
        body = response.content
        headers = httpx.Headers({**headers, "content-encoding": "identity"})
    else:
        body = await _read_capped(response, limit)
    return Reply(
        body=body,
        status=response.status_code,
        headers=headers,
        task_id=ask.task_id,
        key=key,
        retry_after=None if response.is_success else read_retry_after(response.headers, wall_time),
    )


async def _read_capped(response: httpx.Response, limit: int) -> bytes:
    body = bytearray()
    try:
        async for chunk in response.aiter_raw():
            body += chunk[: limit + 1 - len(body)]
            if len(body) > limit:
                # Reading on from what is closed raises, and so ends the generators below this
                # one; left in the middle, trio would complain about each.
                await response.aclose()
    except httpx.HTTPError:
        if len(body) <= limit:
            raise
    return bytes(body)
