"""What every command takes: the gateway, the key, the dialect; and what is no command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mj_async.cli._app import redact_option_values
from mj_async.testing import FakeGateway

from ._commands import DONE, Ended

Call = Callable[..., Ended]
Serve = Callable[[FakeGateway], str]
KEY = "sk-a-key-that-nobody-sees"


@pytest.fixture
def gateway(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> FakeGateway:
    """Serve a task, with a key that is not in the environment."""
    gateway = FakeGateway("documented", api_key=KEY)
    gateway.add_task("1", DONE, seed="1387462901")
    serve(gateway)
    monkeypatch.delenv("MJ_API_KEY")
    return gateway


def test_the_key_comes_from_a_file(gateway: FakeGateway, call: Call, tmp_path: Path) -> None:
    """A line break at the end of the file does not count, and the file beats the environment."""
    (tmp_path / "key").write_text(f"{KEY}\n")
    ended = call("seed", "1", "--api-key-file", str(tmp_path / "key"))

    assert Ended(0, "1387462901\n", "") == ended
    assert f"Bearer {KEY}" == gateway.requests[-1].headers["authorization"]


def test_the_key_comes_from_the_environment(
    gateway: FakeGateway, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MJ_API_KEY and MJ_BASE_URL need no options."""
    monkeypatch.setenv("MJ_API_KEY", KEY)
    monkeypatch.delenv("MJ_BASE_URL")

    assert 0 == call("fetch", "1", "--base-url", gateway.base_url).code


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot read the key file: No such file or directory"),
        (b"\xff\xfe", "cannot read the key file: it is not UTF-8 text"),
        (b"\n", "the key is empty"),
        (b"sk-one\nsk-two\n", "the key has a character that no HTTP header can carry"),
    ],
)
def test_a_bad_key_file_ends_with_2(
    gateway: FakeGateway, call: Call, tmp_path: Path, content: bytes | None, said: str
) -> None:
    """Neither its content nor its path is shown: users give the key in place of the path."""
    if content is not None:
        (tmp_path / KEY).write_bytes(content)
    ended = call("fetch", "1", "--api-key-file", str(tmp_path / KEY))

    assert (2, "", said) == (ended.code, ended.out, ended.err.partition("; next: ")[0][10:])
    assert "--api-key-file" in ended.err
    assert KEY not in ended.err
    assert () == gateway.requests


@pytest.mark.parametrize("arguments", [["--api-key", KEY], [f"--api-key={KEY}"]])
def test_the_key_is_no_argument(gateway: FakeGateway, call: Call, arguments: list[str]) -> None:
    """A key as an argument is refused without repeating it, and the message says what to use."""
    ended = call("fetch", "1", *arguments)

    assert (2, "") == (ended.code, ended.out)
    assert KEY not in ended.err
    assert "--api-key-file" in ended.err
    assert () == gateway.requests


def test_a_gateway_that_repeats_the_key_does_not_show_it(
    gateway: FakeGateway, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key is removed from messages of the gateway, in JSON as well."""
    monkeypatch.setenv("MJ_API_KEY", KEY)
    gateway.fail_next(50, status=401, body=f'{{"description": "bad key {KEY}"}}'.encode())
    for command in (
        ["fetch", "1"],
        ["fetch", "1", "--json"],
        ["wait", "1", "--json"],
        ["seeds", "1"],
    ):
        ended = call(*command)
        assert 3 == ended.code
        assert "bad key ***" in ended.out + ended.err
        assert KEY not in ended.out + ended.err


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("MJ_API_KEY", "no key: set MJ_API_KEY, or give --api-key-file"),
        ("MJ_BASE_URL", "no gateway: give --base-url, or set MJ_BASE_URL"),
    ],
)
def test_without_gateway_or_key_it_ends_with_2(
    gateway: FakeGateway, call: Call, monkeypatch: pytest.MonkeyPatch, name: str, said: str
) -> None:
    """The message says what to set."""
    monkeypatch.setenv("MJ_API_KEY", KEY)
    monkeypatch.delenv(name)

    assert Ended(2, "", f"mj-async: {said}\n") == call("fetch", "1")
    assert () == gateway.requests


def test_a_bad_address_ends_with_2(gateway: FakeGateway, call: Call) -> None:
    """A bad address is not repeated, because it may have a password in it."""
    ended = call("fetch", "1", "--auth", "none", "--base-url", f"https://me:{KEY}@x.example")

    assert (2, "", False) == (ended.code, ended.out, KEY in ended.err)


def test_the_dialect_can_be_said(gateway: FakeGateway, call: Call, tmp_path: Path) -> None:
    """With dialect options the first request has that form."""
    (tmp_path / "key").write_text(KEY)
    form = ["--auth", "bearer", "--ids", "multipart", "--seed-form", "multipart"]
    key = ["--api-key-file", str(tmp_path / "key")]

    assert 0 == call("list", "1", *form, *key).code
    assert 0 == call("seed", "1", *form, *key).code
    listed, seed = gateway.requests
    assert listed.headers["content-type"].startswith("multipart/form-data")
    assert "/mj/task//image-seed" == seed.target


def test_without_a_key_none_is_sent(gateway: FakeGateway, call: Call) -> None:
    """`--auth none` needs no key."""
    call("fetch", "1", "--auth", "none")

    assert "authorization" not in gateway.requests[0].headers


def test_an_exposed_key_is_warned_of(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain http to another machine prints a warning, without a place in the source."""
    monkeypatch.setenv("MJ_API_KEY", KEY)
    ended = call("fetch", "a/b", "--base-url", "http://gateway.invalid")
    warning, problem = ended.err.splitlines()

    assert (
        "mj-async: warning: plain http: the key travels unencrypted to gateway.invalid;"
        " next: use an https address" == warning
    )
    assert problem.startswith("mj-async: the task id 'a/b' has a slash; next: ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nonsense"], "nonsense"),
        (["fetch"], "ID"),
        (["fetch", "1", "2"], "2"),
        (["fetch", "1", "--auth", "magic"], "magic"),
        (["wait", "1", "--timeout", "soon"], "soon"),
        (["seeds", "1", "--concurrency", "many"], "many"),
        (["seeds", "1", "--no-resume"], "--no-resume"),
        (["list", "--from"], "--from"),
    ],
)
def test_what_is_no_command_line_ends_with_2(call: Call, arguments: list[str], said: str) -> None:
    """A wrong command line is one line, which points to --help."""
    ended = call(*arguments)

    assert (2, "", 1) == (ended.code, ended.out, ended.err.count("\n"))
    assert said in ended.err
    assert ended.err.endswith("See mj-async --help.\n")


@pytest.mark.parametrize("command", ["fetch", "list", "seed", "wait", "seeds", "probe"])
def test_each_command_helps(call: Call, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    """Help below the usage fits a narrow terminal, and says where the key comes from."""
    monkeypatch.setenv("COLUMNS", "40")
    ended = call(command, "--help")

    assert 0 == ended.code
    assert "MJ_API_KEY" in ended.out
    assert [] == [line for line in ended.out.splitlines()[1:] if len(line) > 40]
    assert "--no-" not in ended.out


def test_an_id_may_look_like_an_option(serve: Serve, call: Call) -> None:
    """An argument after -- is an id."""
    gateway = FakeGateway()
    gateway.add_task("-1", DONE)
    serve(gateway)

    assert 0 == call("list", "--", "-1").code


def test_a_key_given_as_an_option_is_not_repeated() -> None:
    """A message names the option without its value."""
    said = redact_option_values(
        "Unknown option: --api-key=sk-1.", ["fetch", "--api-key=sk-1", "a=b"]
    )

    assert "Unknown option: --api-key." == said
