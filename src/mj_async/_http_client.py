"""The client's own `httpx.AsyncClient`: stock, over lanes, without cookies."""

from __future__ import annotations

import ssl

import httpx

from ._lanes import IDLE_SECONDS, Lane, Lanes
from .errors import ConfigurationError


class _NoCookies(httpx.Cookies):
    """A gateway has no business with cookies, and to look for them costs 20 us a request."""

    def extract_cookies(self, response: httpx.Response) -> None:
        """Keep none."""


class _HTTPClient(httpx.AsyncClient):
    """Stock, but for cookies."""

    cookies = _NoCookies()  # type: ignore[override]  # in place of a property

    def __init__(self, lanes: Lanes) -> None:
        super().__init__(transport=lanes, trust_env=False)
        self.lanes = lanes


def count_lanes(http_client: httpx.AsyncClient) -> int:
    """Tell how many lanes a client has; one that we have not made has none."""
    return http_client.lanes.count if isinstance(http_client, _HTTPClient) else 0


def make_http_client(
    base_url: str,
    proxy: httpx.Proxy | None,
    verify: bool | ssl.SSLContext,  # noqa: FBT001
) -> httpx.AsyncClient:
    """Make the client's own `httpx.AsyncClient`.

    Raises:
        ConfigurationError: httpx cannot work with the proxy, or with `verify`.
    """
    if proxy is None and base_url.startswith("http:"):
        # No TLS: spare the 20 ms for reading certificates; this context trusts none.
        verify = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        return _HTTPClient(_make_lanes(base_url, proxy, verify))
    except (ImportError, ValueError, OSError, TypeError) as error:
        problem = f"{type(error).__name__} of httpx"
    # Outside the except block: the error may show a proxy's password.
    raise ConfigurationError(f"proxy or verify cannot be used ({problem})")


def _make_lanes(
    base_url: str,
    proxy: httpx.Proxy | None,
    verify: bool | ssl.SSLContext,  # noqa: FBT001
) -> Lanes:
    """Make lanes over one TLS context, which takes 20 ms to make.

    Args:
        base_url: Where all requests go.
        proxy: What every lane goes through.
        verify: False to trust any certificate, or a context.

    Returns:
        The lanes.

    Raises:
        OSError: A certificate file of the environment cannot be read.
        ImportError: The proxy needs a package that is not installed, as SOCKS does.
        ValueError: The proxy's scheme is not known.
    """
    import httpcore  # noqa: PLC0415  # as httpx does: it takes as long as all the rest

    context = verify if isinstance(verify, ssl.SSLContext) else httpx.create_ssl_context(verify)
    limits = httpx.Limits(max_connections=1, keepalive_expiry=IDLE_SECONDS)
    url = httpx.URL(base_url)
    where = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=b"/")

    def make_lane() -> httpx.AsyncHTTPTransport:
        if proxy is None:
            return Lane(httpcore.AsyncHTTPConnection(where.origin, ssl_context=context))
        return httpx.AsyncHTTPTransport(verify=context, proxy=proxy, limits=limits, trust_env=False)

    make_lane()  # what cannot work is found out now
    return Lanes(make_lane)
