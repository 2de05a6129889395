"""Arguments are checked before any I/O; the error names the argument and the problem."""

from __future__ import annotations

import pickle
import traceback
from pathlib import Path
from typing import Any

import attrs
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mj_async
from mj_async import AsyncMJClient, Dialect, Polling, RetryPolicy
from mj_async._config import check_id, check_ids, check_timeout
from mj_async._credentials import Secret, find_base_url
from mj_async.errors import ConfigurationError

CANARY = "sk-canary-0123456789"
SOURCE = Path(mj_async.__file__).parent
BASE_URL = "https://gateway.test"


class Odd:
    """A value like an array of numpy: its comparisons have no truth."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> Any:
        return self

    def __bool__(self) -> bool:
        raise ValueError("the truth of an array is ambiguous")


def assert_no_frame_shows_the_key(error: BaseException) -> None:
    """Look at the locals of our own frames; those of a test may hold what it gave."""
    frames = traceback.TracebackException.from_exception(error, capture_locals=True).stack
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(SOURCE)]
    assert own
    assert all(CANARY not in str(frame.locals) for frame in own)


@pytest.mark.parametrize(
    ("task_id", "problem"),
    [
        ("", "is empty"),
        ("  ", "is empty"),
        (".", "a step in a path"),
        ("..", "a step in a path"),
        ("a/b", "has a slash"),
        ("../../admin", "has a slash"),
        ("a\\b", "has a slash"),
        ("1\n", "control character"),
        ("1\x00", "control character"),
        ("1\u2028", "control character"),
        ("1\ud800", "control character"),
        (" 1", "white space around it"),
        ("1\u3000", "white space around it"),
        ("9" * 257, "longer than 256"),
        (1730621826053455, "must be a str, not int"),
        (None, "must be a str, not NoneType"),
        (b"1", "must be a str, not bytes"),
        (True, "must be a str, not bool"),
    ],
    ids=repr,
)
def test_a_bad_id_is_refused(task_id: Any, problem: str) -> None:
    """An id that cannot be one segment of a path is refused, and the complaint says why."""
    with pytest.raises(ConfigurationError, match=problem):
        check_id(task_id)


@pytest.mark.parametrize(
    "task_id",
    ["1730621826053455", "0191304188213322", "task_1234567890", "a%2Fb", "a?x#y", "🐷", "a b", "…"],
)
def test_an_opaque_id_is_kept(task_id: str) -> None:
    """Whatever can be one segment is an id, and is kept to the letter."""
    assert task_id == check_id(task_id)


@given(st.text(max_size=300))
def test_any_text_is_an_id_or_is_refused(text: str) -> None:
    """No text makes the check fail in another way, and what passes can be encoded."""
    try:
        accepted = check_id(text)
    except ConfigurationError:
        return

    assert text == accepted
    assert accepted.encode()


@pytest.mark.parametrize("task_ids", ["123", b"123", {"1": 2}], ids=repr)
def test_one_thing_is_no_list_of_ids(task_ids: Any) -> None:
    """A str where ids are wanted is not a list of its characters."""
    with pytest.raises(ConfigurationError, match=r"wrap it in \[ \]"):
        check_ids(task_ids)


def test_what_cannot_be_iterated_is_no_list_of_ids() -> None:
    """A number where ids are wanted is refused."""
    with pytest.raises(ConfigurationError, match="must be a list of ids, not int"):
        check_ids(5)  # type: ignore[arg-type]


def test_ids_are_asked_once_in_their_order() -> None:
    """Repeated ids count once, where they stand first; any iterable will do."""
    assert ["2", "1", "3"] == check_ids(iter(["2", "1", "2", "3", "1"]))


@pytest.mark.parametrize(
    ("given_url", "expected"),
    [
        ("https://gateway.test", "https://gateway.test"),
        ("https://gateway.test/", "https://gateway.test"),
        ("https://gateway.test/mj", "https://gateway.test"),
        ("https://gateway.test/mj/", "https://gateway.test"),
        ("https://gateway.test/fast", "https://gateway.test/fast"),
        ("https://gateway.test/mj-fast/mj/", "https://gateway.test/mj-fast"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://[::1]:8080/a/b", "http://[::1]:8080/a/b"),
        ("HTTPS://Gateway.Test/Mode", "https://gateway.test/Mode"),
        ("http://mj", "http://mj"),
        ("http://mj/mj", "http://mj"),
        ("http://mj:8080/mj", "http://mj:8080"),
        ("https://bücher.test/mj", "https://xn--bcher-kva.test"),
    ],
)
def test_a_base_url_keeps_its_path(
    given_url: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A path is kept; a slash and "/mj" at the end are not doubled."""
    assert expected == find_base_url(given_url)
    monkeypatch.setenv("MJ_BASE_URL", given_url)
    assert expected == find_base_url(None)


@pytest.mark.parametrize(
    ("given_url", "problem"),
    [
        (None, "pass base_url=… or set MJ_BASE_URL"),
        ("", "pass base_url=… or set MJ_BASE_URL"),
        (5, "must be a str, not int"),
        ("gateway.test", "must look like https://gateway.example"),
        ("http://x y", "must look like https://gateway.example"),
        ("http://x..y", "must look like https://gateway.example"),
        ("http://.", "must look like https://gateway.example"),
        ("http://" + "x" * 64, "must look like https://gateway.example"),
        ("http://x:-1", "is no address"),
        ("ftp://gateway.test", "must look like https"),
        ("https://", "must look like https"),
        ("https://gateway.test?x=1", "query or fragment"),
        ("https://gateway.test/?", "query or fragment"),
        ("https://gateway.test#x", "query or fragment"),
        (" https://gateway.test", "white space around it"),
        ("https://gateway.test/../admin", "has .. in its path"),
        ("https://gate\nway.test", "is no address"),
        ("https://gateway.test:99999", "is no address"),
        ("https://\ud800", "is no address"),
    ],
)
def test_a_bad_base_url_is_refused(given_url: Any, problem: str) -> None:
    """An address that cannot work is refused, and the complaint says why."""
    with pytest.raises(ConfigurationError) as caught:
        find_base_url(given_url)

    assert problem in str(caught.value)


@pytest.mark.parametrize(
    "given_url",
    [
        "https://me:hidden@gateway.test",
        "me:hidden@gateway.test",
        "https://me:hidden@gateway.test:99999",
    ],
)
def test_a_password_in_a_base_url_is_not_shown(given_url: str) -> None:
    """A user and password in the address are refused without being repeated."""
    with pytest.raises(ConfigurationError) as caught:
        find_base_url(given_url)

    assert "hidden" not in str(caught.value)
    assert caught.value.__context__ is None or "hidden" not in str(caught.value.__context__)


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        (None, "set MJ_API_KEY"),
        ("", "the key is empty"),
        (f"{CANARY}\n", "begins or ends with white space"),
        (f" {CANARY}", "begins or ends with white space"),
        (f"{CANARY}\r\nX-Other: 1", "no HTTP header can carry"),
        (f"{CANARY}\x00x", "no HTTP header can carry"),
        (f"{CANARY}é", "no HTTP header can carry"),
        ("Bearer", "nothing behind it"),
        ("bearer", "nothing behind it"),
        (5, "must be a str, not int"),
        (CANARY.encode(), "must be a str, not bytes"),
    ],
    ids=[
        "none", "empty", "line break", "space", "header injection", "NUL", "umlaut",
        "Bearer alone", "bearer alone", "int", "bytes",
    ],
)  # fmt: skip
def test_a_bad_key_is_refused_and_not_shown(key: Any, problem: str) -> None:
    """A key that no header can carry is refused at construction, and never repeated."""
    with pytest.raises(ConfigurationError) as caught:
        AsyncMJClient(key, base_url=BASE_URL)

    assert problem in str(caught.value)
    assert_no_frame_shows_the_key(caught.value)


def test_no_frame_of_ours_shows_a_good_key() -> None:
    """Where another option is bad, a traceback with locals does not show the key either."""
    with pytest.raises(ConfigurationError) as caught:
        AsyncMJClient(CANARY, base_url=BASE_URL, request_timeout=-1)

    assert_no_frame_shows_the_key(caught.value)


def test_the_key_of_the_environment_is_used_where_none_is_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An argument comes before `MJ_API_KEY`."""
    monkeypatch.setenv("MJ_API_KEY", CANARY)

    for key, expected in ((None, CANARY), ("sk-given", "sk-given")):
        assert expected == AsyncMJClient(key, base_url=BASE_URL)._settings.key.reveal()


def test_no_frame_of_ours_shows_the_key_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the address is bad, no local is the environment with its key."""
    monkeypatch.setenv("MJ_API_KEY", CANARY)
    with pytest.raises(ConfigurationError) as caught:
        AsyncMJClient(base_url="nonsense")

    assert_no_frame_shows_the_key(caught.value)


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf"), True, "5", 10**400])
def test_a_timeout_is_a_number_above_zero(timeout: Any) -> None:
    """A timeout that is no number of seconds is refused."""
    with pytest.raises(ConfigurationError, match="timeout must be a finite number"):
        check_timeout(timeout)


@pytest.mark.parametrize(
    ("make", "option"),
    [
        (lambda: Dialect(auth="basic"), "auth"),  # type: ignore[arg-type]
        (lambda: Dialect(auth=["bearer"]), "auth"),  # type: ignore[arg-type]
        (lambda: Polling(interval=Odd()), "interval"),  # type: ignore[arg-type]
        (lambda: Polling(jitter=True), "jitter"),
        (lambda: RetryPolicy(attempts=Odd()), "attempts"),  # type: ignore[arg-type]
        (lambda: Dialect(ids=Odd()), "ids"),  # type: ignore[arg-type]
        (lambda: Dialect(ids=None), "ids"),  # type: ignore[arg-type]
        (lambda: Dialect(seed="json"), "seed"),  # type: ignore[arg-type]
        (lambda: Polling(interval=0), "interval"),
        (lambda: Polling(factor=0.9), "factor"),
        (lambda: Polling(max_interval=float("inf")), "max_interval"),
        (lambda: Polling(jitter=1), "jitter"),
        (lambda: Polling(missing_grace=-1), "missing_grace"),
        (lambda: Polling(stall_timeout=0), "stall_timeout"),
        (lambda: Polling(max_consecutive_errors=0), "max_consecutive_errors"),
        (lambda: RetryPolicy(attempts=1.5), "attempts"),  # type: ignore[arg-type]
        (lambda: RetryPolicy(first_delay=-1), "first_delay"),
        (lambda: RetryPolicy(max_delay=float("nan")), "max_delay"),
        (lambda: RetryPolicy(max_retry_after="1"), "max_retry_after"),  # type: ignore[arg-type]
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_option_out_of_range_is_named(make: Any, option: str) -> None:
    """A setting that cannot work is refused by its name."""
    with pytest.raises(ConfigurationError, match=f"^{option} must"):
        make()


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"dialect": "newapi"}, "dialect must be of the class Dialect, not str"),
        ({"polling": 3}, "polling must be of the class Polling, not int"),
        ({"retry": 3}, "retry must be of the class RetryPolicy, not int"),
        ({"request_timeout": 0}, "request_timeout must be"),
        ({"seed_timeout": float("inf")}, "seed_timeout must be"),
        ({"max_connections": 0}, "max_connections must be"),
        ({"http_client": object()}, "http_client must be of the class AsyncClient"),
        ({"proxy": "foo://me:hidden@proxy.test"}, "proxy is no address of a proxy"),
        ({"proxy": "socks5://me:hidden@proxy.test"}, "proxy or verify cannot be used"),
        ({"proxy": 5}, "proxy must be a str, not int"),
        ({"proxy": "http://proxy.test:99999"}, "port out of range"),
        ({"verify": "ca.pem"}, "verify must be of the class bool or SSLContext, not str"),
        ({"trust_env": 1}, "trust_env must be of the class bool, not int"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_client_refuses_options_that_cannot_work(options: dict[str, Any], problem: str) -> None:
    """A client with an impossible option is not made, and a proxy's password is not shown."""
    with pytest.raises(ConfigurationError) as caught:
        AsyncMJClient(CANARY, base_url=BASE_URL, **options)

    assert problem in str(caught.value)
    assert "hidden" not in str(caught.value)


def test_settings_are_frozen_values() -> None:
    """Settings compare by value and cannot be changed."""
    assert Polling() == Polling(interval=3.0)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        Polling().interval = 1.0  # type: ignore[misc]


async def _never(_request: httpx.Request) -> httpx.Response:  # pragma: no cover
    raise AssertionError


def test_the_key_is_in_no_repr() -> None:
    """The key is in no repr, and is not pickled."""
    secret = Secret(CANARY)
    client = AsyncMJClient(CANARY, base_url=BASE_URL, http_client=httpx.AsyncClient())

    assert CANARY not in f"{secret!r}{secret}{client!r}{vars(client)}"
    assert "said ***" == secret.conceal(f"said {CANARY}")
    assert "said" == Secret("").conceal("said")
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(secret)


def test_a_key_that_a_gateway_has_masked_is_concealed_too() -> None:
    """new-api quotes the key's ends when its quota is used up; messages end up in chats."""
    secret = Secret("sk-abcdefghijklmnopqrstuvwxyz")

    assert "Exhausted[sk-***]" == secret.conceal("Exhausted[sk-abc***xyz]")


@pytest.mark.parametrize(("key", "said"), [("12345678", "said ***"), ("1234567", "said 1234567")])
def test_a_key_is_concealed_from_eight_characters(key: str, said: str) -> None:
    """A shorter key would be found in any text."""
    secret = Secret(key)

    assert said == secret.conceal(f"said {key}")
    assert said.encode() == secret.conceal_in(f"said {key}".encode())
