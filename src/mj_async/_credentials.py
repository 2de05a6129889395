"""Which gateway, key and proxy: from arguments or the environment, and checked.

No error shows the key.
"""

from __future__ import annotations

import os
import re
from ipaddress import ip_address
from typing import Any
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
    """A key that no repr, pickle or traceback shows; `reveal()` is for the header that carries it.

    A key is wrapped where it comes in, and opened where the headers of a request are made.
    """

    __slots__ = ("_forms", "_value")

    def __init__(self, value: object) -> None:
        self._value: Any = value
        # The key as it is, and as it is in an address.
        bare = self.reveal_bare() if isinstance(value, str) else ""
        is_secret = len(bare) >= _SHORTEST_SECRET
        self._forms = tuple(dict.fromkeys((bare, quote(bare, safe="")))) if is_secret else ()

    def reveal(self) -> Any:
        """Return the key, a str once `find_key` has checked it."""
        return self._value

    def reveal_bare(self) -> str:
        """Return the key without a "Bearer " that the user has put before it."""
        key: str = self._value
        return key[7:].strip() if key[:7].lower() == "bearer " else key

    def conceal(self, text: str) -> str:
        """Return a text without the key, for a message that quotes a gateway.

        new-api quotes a key by its ends, `sk-abc***xyz`; they are taken out, too.
        """
        token = self.reveal_bare().removeprefix("sk-")
        masked = (f"{token[:3]}***{token[-3:]}",) if len(token) >= _SHORTEST_SECRET else ()
        for form in (*self._forms, *masked):
            text = text.replace(form, "***")
        return text

    def conceal_in(self, body: bytes) -> bytes:
        """Return a body without the key, before anything is cut from it."""
        for form in self._forms:
            body = body.replace(form.encode(), b"***")
        return body

    def __repr__(self) -> str:
        return "<Secret>"

    def __reduce__(self) -> str:
        raise TypeError("the key is not pickled")


def find_key(given: Secret, auth: str) -> Secret:
    """Return the key, from the argument or `MJ_API_KEY`.

    Raises:
        ConfigurationError: There is no key, or it cannot be sent. The error does not show it.
    """
    if auth == "none":
        return Secret("")
    key = Secret(os.environ.get("MJ_API_KEY")) if given.reveal() is None else given
    if key.reveal() is None:
        raise ConfigurationError("no key: pass api_key=… or set MJ_API_KEY")
    problem = _key_problem(key.reveal())
    if problem is not None:
        raise ConfigurationError(problem)
    return key


def _key_problem(value: object) -> str | None:
    if not isinstance(value, str):
        return f"the key must be a str, not {type(value).__name__}"
    if not value:
        return "the key is empty"
    if value != value.strip():
        return "the key begins or ends with white space; was a line break read with it?"
    if not (value.isascii() and value.isprintable()):
        return "the key has a character that no HTTP header can carry"
    if value.lower() == "bearer":
        return "the key is the word Bearer with nothing behind it"
    return None


def find_base_url(given: object) -> str:
    """Return the address that `/mj/task/…` is put behind, from the argument or `MJ_BASE_URL`.

    It has no slash and no `/mj` at its end.

    Raises:
        ConfigurationError: There is no address, or it is no http(s) address, or it has a user,
            password, query or fragment.
    """
    value = os.environ.get("MJ_BASE_URL") if given is None else given
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


def _parse_url(value: str) -> httpx.URL:
    problem = "has .. in its path" if ".." in value.split("/") else None
    problem = "has white space around it" if value != value.strip() else problem
    try:
        url = httpx.URL(value)
        problem = problem if 0 <= (url.port or 0) <= _LAST_PORT else "port out of range"
    except (httpx.InvalidURL, UnicodeError, ValueError) as error:
        problem = type(error).__name__
    if problem is not None:  # outside of the except block: the value may hold a password
        raise ConfigurationError(f"base_url is no address ({problem})")
    return url


def _is_host(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        labels = host.removesuffix(".").split(".")
        return len(host) <= _LONGEST_HOST and all(map(_HOST_LABEL.fullmatch, labels))
    return True


def exposes_key(base_url: str) -> bool:
    """Return True if the key travels unencrypted beyond this machine."""
    url = httpx.URL(base_url)
    if url.scheme == "https" or url.host == "localhost" or url.host.endswith(".localhost"):
        return False
    try:
        return not ip_address(url.host).is_loopback
    except ValueError:  # a name
        return True


def find_proxy(given: object, base_url: str, *, trust_env: bool) -> httpx.Proxy | None:
    """Return the proxy for an address, from the argument or the environment's variables.

    httpx has rules of its own, under which `NO_PROXY=fe80::/10` makes every client fail.

    Raises:
        ConfigurationError: It cannot be used; its address, which may hold a password, is not
            shown.
    """
    address, source = given, "proxy"
    if address is None and trust_env:
        source, address = _proxy_of_environment(httpx.URL(base_url))
    if address is None:
        return None
    problem = f"must be a str, not {type(address).__name__}"
    if isinstance(address, str):
        try:
            proxy = httpx.Proxy(address if "://" in address else f"http://{address}")
            host, port = proxy.url.host, proxy.url.port or 0
            if host and "%" not in host and 0 <= port <= _LAST_PORT:
                return proxy
            problem = "has no host, or a port out of range"
        except (httpx.InvalidURL, ValueError, UnicodeError) as error:
            problem = f"is no address of a proxy ({type(error).__name__})"
    # Outside of the except block: the address may hold a password.
    raise ConfigurationError(f"{source} {problem}")


def _proxy_of_environment(url: httpx.URL) -> tuple[str, str | None]:
    proxies = getproxies()
    port = url.port or {"http": 80, "https": 443}[url.scheme]
    host = f"[{url.host}]" if ":" in url.host else url.host
    if proxy_bypass(f"{host}:{port}") or proxy_bypass(url.host):
        return "", None
    for scheme in (url.scheme, "all"):
        if scheme in proxies:
            return f"{scheme.upper()}_PROXY in the environment", proxies[scheme]
    return "", None
