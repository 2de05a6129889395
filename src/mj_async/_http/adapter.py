"""What httpx is given for a request, how its answer is read, and what its failures mean."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import anyio
import httpx

from .. import errors
from .._protocol.requests import label
from .._protocol.response import APIResponse, printable
from .retry import read_retry_after

if TYPE_CHECKING:
    from .._credentials import Secret
    from .._protocol.requests import APIRequest

# What httpx and the layers below it raise for an exchange that failed.
HTTP_ERRORS = (
    httpx.HTTPError,
    httpx.InvalidURL,
    httpx.StreamError,
    OSError,
    UnicodeError,
    anyio.ClosedResourceError,
    anyio.BrokenResourceError,
)

# httpx counts the time of each read, by which a drip never ends; the attempt's deadline does.
NO_TIMEOUTS = {"timeout": httpx.Timeout(None).as_dict()}


def map_http_error(
    error: Exception, request: APIRequest, base_url: str, key: Secret
) -> errors.TransportError:
    """Make our error of one of httpx's; those hold the request with its key."""
    untrusted = _is_untrusted(error)
    refused_by_proxy = isinstance(error, httpx.ProxyError) and "407" in str(error)
    text = printable(str(error), key)
    said = f"{type(error).__name__}: {text}" if text else type(error).__name__
    advice = "; the gateway's certificate is not trusted" if untrusted else ""
    return errors.TransportError(
        f"{label(request, base_url, key)} failed ({said}){advice}",
        task_id=request.task_id,
        temporary=not (untrusted or refused_by_proxy),
    )


def _is_untrusted(error: BaseException | None) -> bool:
    """Whether a bad certificate is behind it; under trio the error itself does not say so."""
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return error is not None


async def read_response(
    http_response: httpx.Response, request: APIRequest, key: Secret, limit: int, wall_time: float
) -> APIResponse:
    """Read an answer to its end, and one byte more than the limit at most.

    Args:
        http_response: The answer.
        request: What was asked.
        key: What must not be quoted.
        limit: The most bytes that the body may have.
        wall_time: The time of day in Unix seconds, for a Retry-After.
    """
    headers = http_response.headers
    if http_response.is_stream_consumed:  # by respx, MockTransport or a hook of the caller's
        body = http_response.content
        headers = httpx.Headers({**headers, "content-encoding": "identity"})
    else:
        body = await _read_capped(http_response, limit)
    return APIResponse(
        body=body,
        status=http_response.status_code,
        headers=headers,
        task_id=request.task_id,
        key=key,
        retry_after=None
        if http_response.is_success
        else read_retry_after(http_response.headers, wall_time),
    )


async def _read_capped(http_response: httpx.Response, limit: int) -> bytes:
    body = bytearray()
    try:
        async for chunk in http_response.aiter_raw():
            body += chunk[: limit + 1 - len(body)]
            if len(body) > limit:
                # Reading on from what is closed raises, and so ends the generators below this
                # one; left in the middle, trio would complain about each.
                await http_response.aclose()
    except httpx.HTTPError:
        if len(body) <= limit:
            raise
    return bytes(body)
