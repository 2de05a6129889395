"""What a user gave, checked once and before any I/O: key, base_url, ids and single options.

Pure. Every complaint says what is wrong and what would do; none shows the key.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import quote

import httpx

from .errors import ConfigurationError

# Ids in the wild have 16 to 20 digits, or look like `task_1234567890`.
_LONGEST_ID = 256
_USUAL_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")
_LAST_PORT = 65_535
# A shorter key is no secret, and would be found in any text.
_SHORTEST_SECRET = 8
_LONGEST_HOST = 253
_HOST_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
# Far beyond any use, and safe to add to a clock; NaN and infinity are not below it.
_ENDLESS = 1e12
_UNPRINTABLE = frozenset({"Cc", "Cs", "Zl", "Zp"})


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


# --- option checks: each says which option, what is wrong, and what would do -----------------


def _is_number(value: Any) -> bool:
    is_real = isinstance(value, int | float) and not isinstance(value, bool)
    return is_real and abs(value) < _ENDLESS


def above_zero(value: Any) -> str | None:
    fine = _is_number(value) and value > 0
    return None if fine else "must be a finite number of seconds above 0"


def zero_or_more(value: Any) -> str | None:
    return None if _is_number(value) and value >= 0 else "must be a finite number, 0 or more"


def one_or_more(value: Any) -> str | None:
    return None if _is_number(value) and value >= 1 else "must be a finite number, 1 or more"


def share(value: Any) -> str | None:
    return None if _is_number(value) and 0 <= value < 1 else "must be from 0 to below 1"


def count(value: Any) -> str | None:
    fine = isinstance(value, int) and not isinstance(value, bool) and value >= 1
    return None if fine else "must be a whole number, 1 or more"


def flag(value: Any) -> str | None:
    return None if isinstance(value, bool) else "must be True or False"


def none_or(problem: Callable[[Any], str | None]) -> Callable[[Any], str | None]:
    return lambda value: None if value is None else problem(value)


def one_of(*choices: str) -> Callable[[Any], str | None]:
    def problem(value: Any) -> str | None:
        fine = isinstance(value, str) and value in choices
        return None if fine else f"must be one of {', '.join(map(repr, choices))}"

    return problem


def check_timeout(timeout: float | None) -> None:
    """Refuse a call's timeout that is no number of seconds.

    Raises:
        ConfigurationError: It is not None and not a finite number above 0.
    """
    check_option("timeout", timeout, none_or(above_zero))


def check_instance(name: str, value: object, kind: Any) -> None:
    """Refuse an option of another class, or of none of several.

    Raises:
        ConfigurationError: It is none of that class.
    """
    if not isinstance(value, kind):
        given = type(value).__name__
        kinds = kind if isinstance(kind, tuple) else (kind,)
        names = " or ".join(one.__name__ for one in kinds)
        raise ConfigurationError(f"{name} must be of the class {names}, not {given}")


def check_count(name: str, value: int) -> None:
    """Refuse an option that is not a whole number of at least one.

    Raises:
        ConfigurationError: It is not.
    """
    check_option(name, value, count)


def check_option(name: str, value: Any, problem: Callable[[Any], str | None]) -> None:
    """Raise what is wrong with an option, if anything is.

    Raises:
        ConfigurationError: Something is.
    """
    wrong = problem(value)
    if wrong is not None:
        raise ConfigurationError(f"{name} {wrong}, not {value!r}")


# --- key, base_url, ids -----------------------------------------------------------------------


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


def check_id(task_id: object) -> str:
    """Refuse what cannot be one segment of a path; ids are opaque otherwise.

    Args:
        task_id: What the user gave.

    Returns:
        The same.

    Raises:
        ConfigurationError: It is no str, is empty, too long, a dot or two, has a slash, a
            control character or white space around it. An empty id would give somebody's
            failed task on new-api (gateways page, "One task").
    """
    if not isinstance(task_id, str):
        raise ConfigurationError(
            f"a task id must be a str, not {type(task_id).__name__}: numbers lose leading zeros"
        )
    problem = None if _USUAL_ID.fullmatch(task_id) else _id_problem(task_id)
    if problem is not None:
        raise ConfigurationError(f"the task id {task_id[:40]!r} {problem}")
    return task_id


def _id_problem(task_id: str) -> str | None:
    if not task_id.strip():
        return "is empty"
    if len(task_id) > _LONGEST_ID:
        return f"is longer than {_LONGEST_ID} characters"
    if task_id in (".", ".."):
        return "is a step in a path"
    if "/" in task_id or "\\" in task_id:
        return "has a slash"
    if not task_id.isprintable() and _has_control(task_id):
        return "has a control character; was a line break read with it?"
    return "has white space around it" if task_id != task_id.strip() else None


def _has_control(text: str) -> bool:
    return not _UNPRINTABLE.isdisjoint(map(unicodedata.category, text))


def check_ids(task_ids: Iterable[str]) -> list[str]:
    """Refuse what is no list of ids; give the distinct ones in the order given.

    Raises:
        ConfigurationError: It is a single str, cannot be iterated, or one id is bad.
    """
    if isinstance(task_ids, str | bytes | Mapping):
        kind = type(task_ids).__name__
        raise ConfigurationError(f"task_ids must be a list of ids, not one {kind}: wrap it in [ ]")
    try:
        given = list(task_ids)
    except TypeError:
        kind = type(task_ids).__name__
        raise ConfigurationError(f"task_ids must be a list of ids, not {kind}") from None
    return list(dict.fromkeys(map(check_id, given)))
