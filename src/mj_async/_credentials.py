"""Which gateway, and with which key: found in arguments or the environment, and checked.

Pure. No complaint shows the key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import quote
from urllib.request import getproxies, proxy_bypass

import httpx

from .errors import ConfigurationError

_LAST_PORT = 65_535
# A shorter key is no secret, and would be found in any text.
_SHORTEST_SECRET = 8
_LONGEST_HOST = 253
_HOST_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")


class Secret:
    """The key; it shows itself to nobody who does not ask by `reveal()`."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Give the key, for a header."""
        return self._value

    def reveal_bare(self) -> str:
        """Give the key without a "Bearer " that the user has put before it."""
        is_prefixed = self._value[:7].lower() == "bearer "
        return self._value[7:].strip() if is_prefixed else self._value

    def conceal(self, text: str) -> str:
        """Give the text without the key, for a message that quotes a gateway.

        new-api quotes a key by its ends, `sk-abc***xyz`; they are taken out, too.
        """
        token = self.reveal_bare().removeprefix("sk-")
        masked = (f"{token[:3]}***{token[-3:]}",) if len(token) >= _SHORTEST_SECRET else ()
        for form in (*self._forms(), *masked):
            text = text.replace(form, "***")
        return text

    def conceal_in(self, body: bytes) -> bytes:
        """Give the bytes without the key, before anything is cut from them."""
        for form in self._forms():
            body = body.replace(form.encode(), b"***")
        return body

    def _forms(self) -> tuple[str, ...]:
        """Give the key as it is, and as it is in an address."""
        bare = self.reveal_bare()
        if len(bare) < _SHORTEST_SECRET:
            return ()
        quoted = quote(bare, safe="")
        return (bare,) if bare == quoted else (bare, quoted)

    def __repr__(self) -> str:
        return "<Secret>"

    def __reduce__(self) -> str:
        raise TypeError("the key is not pickled")


def find_key(given: object, auth: str, environment: Mapping[str, str]) -> tuple[Secret, str | None]:
    """Find the key and say what is wrong with it.

    It raises nothing itself: a traceback with locals would show the key of this frame.

    Returns:
        The key, and a sentence for a `ConfigurationError` or None.
    """
    if auth == "none":
        return Secret(""), None
    value = environment.get("MJ_API_KEY") if given is None else given
    if value is None:
        return Secret(""), "no key: pass api_key=… or set MJ_API_KEY"
    if not isinstance(value, str):
        return Secret(""), f"the key must be a str, not {type(value).__name__}"
    return Secret(value), _key_problem(value)


def _key_problem(value: str) -> str | None:
    if not value:
        return "the key is empty"
    if value != value.strip():
        return "the key begins or ends with white space; was a line break read with it?"
    if not (value.isascii() and value.isprintable()):
        return "the key has a character that no HTTP header can carry"
    if value.lower() == "bearer":
        return "the key is the word Bearer with nothing behind it"
    return None


def find_base_url(given: object, environment: Mapping[str, str]) -> str:
    """Find the address that `/mj/task/…` is put behind.

    Args:
        given: The argument, or None.
        environment: Where `MJ_BASE_URL` may stand.

    Returns:
        The address without a slash or `/mj` at its end.

    Raises:
        ConfigurationError: There is none, or it is no http(s) address, or it has a user,
            password, query or fragment.
    """
    value = environment.get("MJ_BASE_URL") if given is None else given
    if value is None or value == "":
        raise ConfigurationError("no gateway: pass base_url=… or set MJ_BASE_URL")
    if not isinstance(value, str):
        raise ConfigurationError(f"base_url must be a str, not {type(value).__name__}")
    url = _parse_url(value)
    if "@" in value:
        raise ConfigurationError("base_url must not hold a user or password; pass api_key=…")
    if url.scheme not in ("http", "https") or not _is_host(url.raw_host.decode()):
        # Not quoted: it may be the key, given in the wrong place.
        raise ConfigurationError("base_url must look like https://gateway.example")
    if "?" in value or "#" in value:
        raise ConfigurationError("base_url must not have a query or fragment; leave it out")
    path = url.raw_path.decode().rstrip("/").removesuffix("/mj").rstrip("/")
    return f"{url.scheme}://{url.netloc.decode()}{path}"


def _is_host(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        labels = host.removesuffix(".").split(".")
        return len(host) <= _LONGEST_HOST and all(map(_HOST_LABEL.fullmatch, labels))
    return True


def exposes_key(base_url: str) -> bool:
    """Whether the key travels unencrypted beyond this machine."""
    url = httpx.URL(base_url)
    if url.scheme == "https" or url.host == "localhost" or url.host.endswith(".localhost"):
        return False
    try:
        return not ip_address(url.host).is_loopback
    except ValueError:  # a name
        return True


def _parse_url(value: str) -> httpx.URL:
    problem = "has .. in its path" if ".." in value.split("/") else None
    problem = "has white space around it" if value != value.strip() else problem
    try:
        url = httpx.URL(value)
        problem = problem if 0 <= (url.port or 0) <= _LAST_PORT else "port out of range"
    except (httpx.InvalidURL, UnicodeError, ValueError) as error:
        problem = type(error).__name__
    if problem is not None:  # outside the except block: the value may hold a password
        raise ConfigurationError(f"base_url is no address ({problem})")
    return url


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
