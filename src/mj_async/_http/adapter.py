"""One request over an `httpx.AsyncClient`: sent, read under a cap, and its errors made ours."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import TYPE_CHECKING

import anyio
import attrs
import httpx

from .. import errors
from .._protocol.requests import label, request_kwargs
from .._protocol.response import APIResponse, printable
from .retry import read_retry_after

if TYPE_CHECKING:
    from .._clock import Clock
    from .._credentials import Secret
    from .._protocol.requests import APIRequest, Scheme

# What httpx and the layers below it raise for a request that failed.
_HTTP_ERRORS = (
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


@attrs.frozen(kw_only=True, eq=False)
class HTTPXAdapter:
    """Sends requests with httpx. `headers` are those of all requests."""

    http_client: httpx.AsyncClient
    base_url: str
    key: Secret
    headers: Mapping[str, str]
    clock: Clock

    async def send(self, request: APIRequest, scheme: Scheme, limit: int) -> APIResponse:
        """Send a request and read the answer to its end, up to a limit of bytes.

        Raises:
            TransportError: No answer came back.
            UnexpectedAnswerError: The body is too large, or cannot be unpacked.
        """
        # The headers have no name in this frame, because tracebacks may show locals.
        http_request = self.http_client.build_request(
            **request_kwargs(request, self.base_url, scheme, self.key, self.headers),
            extensions=_NO_TIMEOUTS,
        )
        try:
            http_response = await self.http_client.send(
                http_request, stream=True, auth=None, follow_redirects=False
            )
            headers = http_response.headers
            was_read = http_response.is_stream_consumed
            if was_read:  # and unpacked: by respx, MockTransport or a hook of the caller's
                headers = httpx.Headers({**headers, "content-encoding": "identity"})
            refused = not http_response.is_success
            try:
                response = APIResponse(
                    body=http_response.content if was_read else await _read(http_response, limit),
                    status=http_response.status_code,
                    headers=headers,
                    task_id=request.task_id,
                    key=self.key,
                    retry_after=read_retry_after(headers, self.clock.wall_time())
                    if refused
                    else None,
                )
            finally:
                await http_response.aclose()
        except _HTTP_ERRORS as error:
            failure = self._map_error(error, request)
        else:
            if len(response.body) > limit:  # it was cut there, packed or not
                raise response.with_key_redacted().unexpected("too large")
            return response.decompressed(limit).with_key_redacted()
        # Outside of the except block: the error of httpx holds the request with its key.
        raise failure

    def _map_error(self, error: Exception, request: APIRequest) -> errors.TransportError:
        untrusted = _is_untrusted(error)
        refused_by_proxy = isinstance(error, httpx.ProxyError) and "407" in str(error)
        text = printable(str(error), self.key)
        what = f"{type(error).__name__}: {text}" if text else type(error).__name__
        advice = "; the gateway's certificate is not trusted" if untrusted else ""
        return errors.TransportError(
            f"{label(request, self.base_url, self.key)} failed ({what}){advice}",
            task_id=request.task_id,
            temporary=not (untrusted or refused_by_proxy),
        )


def _is_untrusted(error: BaseException | None) -> bool:
    """Return True if a bad certificate is behind it; under trio the error itself does not say."""
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return error is not None


async def _read(http_response: httpx.Response, limit: int) -> bytes:
    """Read one byte more than the limit at most."""
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
