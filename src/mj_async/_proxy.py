"""Which proxy leads to a gateway, by the standard library's rules. It reads os.environ."""

from __future__ import annotations

from urllib.request import getproxies, proxy_bypass

import httpx

from .errors import ConfigurationError

_LAST_PORT = 65_535


def find_proxy(given: object, base_url: str, *, trust_env: bool) -> httpx.Proxy | None:
    """Find the proxy for an address, once: an address never changes.

    httpx has rules of its own, under which `NO_PROXY=fe80::/10` makes every client fail.

    Args:
        given: The argument, or None.
        base_url: The gateway's address.
        trust_env: Whether `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` count.

    Returns:
        The proxy, or None.

    Raises:
        ConfigurationError: It cannot be used; the address is not shown, for it may hold a
            password.
    """
    address = given
    source = "proxy"
    if address is None and trust_env:
        source, address = _from_environment(httpx.URL(base_url))
    if address is None:
        return None
    problem = f"must be a str, not {type(address).__name__}"
    if isinstance(address, str):
        try:
            proxy = httpx.Proxy(address if "://" in address else f"http://{address}")
            if (
                proxy.url.host
                and "%" not in proxy.url.host
                and 0 <= (proxy.url.port or 0) <= _LAST_PORT
            ):
                return proxy
            problem = "has no host, or a port out of range"
        except (httpx.InvalidURL, ValueError, UnicodeError) as error:
            problem = f"is no address of a proxy ({type(error).__name__})"
    # Outside the except block: the address may hold a password.
    raise ConfigurationError(f"{source} {problem}")


def _from_environment(url: httpx.URL) -> tuple[str, str | None]:
    proxies = getproxies()
    port = url.port or {"http": 80, "https": 443}[url.scheme]
    host = f"[{url.host}]" if ":" in url.host else url.host
    if proxy_bypass(f"{host}:{port}") or proxy_bypass(url.host):
        return "", None
    for scheme in (url.scheme, "all"):
        if scheme in proxies:
            return f"{scheme.upper()}_PROXY in the environment", proxies[scheme]
    return "", None
