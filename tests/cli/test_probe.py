"""`mj-async probe`: what each gateway speaks, and one line for whatever is in the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from _sockets import Connection, RawServer
from mj_async import Dialect, errors
from mj_async.cli.commands._probe import (
    describe_ids,
    describe_unknown_id,
    dialect_as_options,
    dialect_as_python,
)
from mj_async.testing import FakeGateway

from ._commands import Ended, on_terminal, run_redirected

Call = Callable[..., Ended]
Serve = Callable[[FakeGateway], str]
Answers = Callable[[str], tuple[int, bytes] | None]

KEY = "sk-a-key-that-nobody-sees"
UNKNOWN = b'{"description": "task_no_found ", "type": "upstream_error", "code": 4}'
PATH = "path (GET /mj/task/{id}/image-seed)"
FORM = "multipart (GET /mj/task//image-seed, with a form)"


def rows(ended: Ended) -> dict[str, str]:
    """Return the rows by name."""
    return {line[:10].strip(): line[11:] for line in ended.out.splitlines()}


@pytest.mark.parametrize(
    ("dialect", "found"),
    [
        (
            "newapi",
            {
                "key": "bearer (Authorization: Bearer …)",
                "ids": "json",
                "seed": PATH,
                "unknown id": "HTTP 400, code 4: task_no_found",
                "requests": "5",
                "dialect": 'Dialect(auth="bearer", ids="json", seed="path")',
                "options": "--auth bearer --ids json --seed-form path",
            },
        ),
        (
            "onehub",
            {
                "key": "mj-api-secret (a header of that name)",
                "ids": "json",
                "seed": PATH,
                "unknown id": "HTTP 400, code 4: task_no_found",
                "requests": "6",
                "dialect": 'Dialect(auth="mj-api-secret", ids="json", seed="path")',
                "options": "--auth mj-api-secret --ids json --seed-form path",
            },
        ),
        (
            "java",
            {
                "key": "mj-api-secret (a header of that name)",
                "ids": "json",
                "seed": "this gateway has no image-seed",
                "unknown id": "HTTP 200, an empty body",
                "requests": "7",
                "dialect": 'Dialect(auth="mj-api-secret", ids="json")',
                "options": "--auth mj-api-secret --ids json",
            },
        ),
        (
            "csharp",
            {
                "key": "mj-api-secret (a header of that name)",
                "ids": "json",
                "seed": PATH,
                "unknown id": "HTTP 204, an empty body",
                "requests": "6",
                "dialect": 'Dialect(auth="mj-api-secret", ids="json", seed="path")',
                "options": "--auth mj-api-secret --ids json --seed-form path",
            },
        ),
        (
            "documented",
            {
                "key": "bearer (Authorization: Bearer …)",
                "ids": "multipart",
                "seed": FORM,
                "unknown id": "HTTP 400, code 4: task_no_found",
                "requests": "6",
                "dialect": 'Dialect(auth="bearer", ids="multipart", seed="multipart")',
                "options": "--auth bearer --ids multipart --seed-form multipart",
            },
        ),
    ],
)
def test_each_gateway_is_found_out(
    serve: Serve, call: Call, dialect: Any, found: dict[str, str]
) -> None:
    """It only reads, and prints the number of requests and the dialect."""
    gateway = FakeGateway(dialect)
    base_url = serve(gateway)
    ended = call("probe")

    assert (0, "") == (ended.code, ended.err)
    assert {"gateway": base_url, **found} == rows(ended)
    assert found["requests"] == str(len(gateway.requests))
    assert all("/submit" not in request.target for request in gateway.requests)


def test_what_it_says_can_be_pasted(serve: Serve, call: Call) -> None:
    """The printed options work, and save requests."""
    gateway = FakeGateway("onehub")
    serve(gateway)
    first = rows(call("probe"))
    again = rows(call("probe", *first["options"].split()))

    assert first["dialect"] == again["dialect"]
    assert int(again["requests"]) < int(first["requests"])


def test_on_a_terminal_it_is_a_table(serve: Serve) -> None:
    """The lines to paste are below the table, on a narrow terminal as well."""
    serve(FakeGateway("csharp"))
    for columns in (80, 40):
        shown = on_terminal("probe", columns=columns)
        lines = shown.text.splitlines()

        assert 0 == shown.code
        assert any(line.startswith("│ key ") for line in lines)
        assert max(len(line) for line in lines if line[:1] in "┌│└") <= columns
        assert 'Dialect(auth="mj-api-secret", ids="json", seed="path")' in lines
        assert "--auth mj-api-secret --ids json --seed-form path" in lines


def test_what_nobody_reads_is_quiet(serve: Serve) -> None:
    """A closed stdout is exit 1."""
    serve(FakeGateway())
    ended = run_redirected(">&-", "probe")

    assert 1 == ended.code
    assert ended.err.startswith("mj-async: standard output is closed; next: ")


def test_a_wrong_key_ends_with_3(serve: Serve, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key is tried with each header, and is not shown."""
    serve(FakeGateway("onehub"))
    monkeypatch.setenv("MJ_API_KEY", KEY)
    ended = call("probe")

    assert (3, "", 1) == (ended.code, ended.out, ended.err.count("\n"))
    assert ended.err.startswith("mj-async: the gateway refused the key (")
    step = "; next: check the key (MJ_API_KEY or --api-key-file) (requests made: 3)\n"
    assert ended.err.endswith(step)
    assert KEY not in ended.err


@pytest.mark.parametrize("dialect", ["newapi", "java"])
def test_a_wrong_path_ends_with_3(serve: Serve, call: Call, dialect: Any) -> None:
    """A web page or a missing route points to the address."""
    base_url = serve(FakeGateway(dialect))
    ended = call("probe", "--base-url", f"{base_url}/web/console")

    assert (3, "", 1) == (ended.code, ended.out, ended.err.count("\n"))
    assert ended.err.endswith("; next: check --base-url (MJ_BASE_URL) (requests made: 1)\n")


def test_where_there_is_no_gateway_it_ends_with_3(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A closed port is exit 3."""
    monkeypatch.setenv("MJ_API_KEY", KEY)
    ended = call("probe", "--base-url", "http://127.0.0.1:1")

    assert (3, "", 1) == (ended.code, ended.out, ended.err.count("\n"))
    step = "; next: check --base-url (MJ_BASE_URL), and that the gateway runs (requests made: 1)"
    assert ended.err.endswith(f"{step}\n")


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (500, "try again later, and tell its operator if it stays so"),
        (400, "next: try again; if the error stays, tell the gateway's operator"),
    ],
)
def test_a_gateway_that_refuses_ends_with_3(
    serve: Serve, call: Call, status: int, said: str
) -> None:
    """One line has the answer and a hint; there is no second request."""
    gateway = FakeGateway()
    serve(gateway)
    gateway.fail_next(1, status=status)
    ended = call("probe")

    assert (3, "", 1) == (ended.code, ended.out, ended.err.count("\n"))
    assert said in ended.err
    assert 1 == len(gateway.requests)


def test_bad_options_end_with_2(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bad options are refused before the first request."""
    monkeypatch.setenv("MJ_API_KEY", KEY)
    ended = call("probe", "--base-url", "https://gateway.invalid", "--timeout", "0")

    assert (2, "", 1) == (ended.code, ended.out, ended.err.count("\n"))
    assert "timeout must be" in ended.err


def test_an_exposed_key_is_warned_of_once(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is one warning, although probe makes several clients."""
    monkeypatch.setenv("MJ_API_KEY", KEY)
    ended = call("probe", "--base-url", "http://gateway.invalid", "--timeout", "5")

    assert (3, 1) == (ended.code, ended.err.count("warning"))


# --- gateways that are no FakeGateway ---------------------------------------------------------


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Answers], None]]:
    """Serve answers by the target of the request; None is no answer."""
    monkeypatch.setenv("MJ_API_KEY", KEY)
    servers: list[RawServer] = []

    def start(answers: Answers) -> None:
        server = RawServer(partial(_serve, answers)).__enter__()
        servers.append(server)
        monkeypatch.setenv("MJ_BASE_URL", server.base_url)

    yield start
    for server in servers:
        server.__exit__(None, None, None)


async def _serve(answers: Answers, connection: Connection) -> None:
    while True:
        head = await connection.read_head()
        length = next(
            (int(line[15:]) for line in head.split(b"\r\n") if line[:15] == b"Content-Length:"), 0
        )
        await connection.reader.readexactly(length)
        given = answers(head.split(b" ")[1].decode())
        if given is None:
            await connection.stall()
            return
        status, body = given
        await connection.answer(body, b"HTTP/1.1 %d X\r\n" % status)


def usual(target: str) -> tuple[int, bytes] | None:
    """Answer like new-api, and to each list request with an empty list."""
    return (200, b"[]") if target.endswith("condition") else (400, UNKNOWN)


def test_a_slow_seed_is_not_waited_for(answer: Any, call: Call) -> None:
    """A seed that takes too long is not found; the rest is, and the exit code is 1."""
    answer(lambda target: None if target.endswith("image-seed") else usual(target))
    ended = call("probe", "--ids", "json", "--timeout", "0.5")

    assert (1, "") == (ended.code, ended.err)
    seed = rows(ended)["seed"]
    assert seed.startswith("not found: no answer within seed_timeout=0.5 s; next: ")
    assert seed.endswith("or allow more time with --timeout")
    assert 'Dialect(auth="bearer", ids="json")' == rows(ended)["dialect"]


def test_a_gateway_that_lists_nothing_either_way(answer: Any, call: Call) -> None:
    """If both encodings give an empty list, the row says how to find the right one."""
    answer(usual)
    ended = call("probe")

    assert 1 == ended.code
    assert (
        "not found: the answer is empty in both forms; next: mj-async list ID, with a real id"
        == (rows(ended)["ids"])
    )
    assert 'Dialect(auth="bearer", seed="path")' == rows(ended)["dialect"]


def test_a_gateway_without_a_list(answer: Any, call: Call) -> None:
    """A missing list route is a result, and no failure."""
    answer(lambda target: (404, b"") if target.endswith("condition") else usual(target))
    ended = call("probe")

    assert (0, "this gateway has no list") == (ended.code, rows(ended)["ids"])


def test_a_list_that_fails(answer: Any, call: Call) -> None:
    """The row has the gateway's message as one line, without the key."""
    said = f'{{"description": "no {KEY}\\u001b[2J\\n!", "code": 9}}'.encode()
    answer(lambda target: (500, said) if target.endswith("condition") else usual(target))
    ended = call("probe")

    assert 1 == ended.code
    assert (
        "not found: the gateway has failed (HTTP 500, code 9): 'no *** [2J !'"
        in (rows(ended)["ids"])
    )


def test_a_seed_where_no_task_is(answer: Any, call: Call) -> None:
    """Any answer about the task, a task as well, shows that the route exists."""
    task = b'{"id": "0000000000000000", "status": "FAILURE", "progress": "100%"}'
    no_seed = b'{"code": 3, "description": "none", "result": null}'
    for body in (task, no_seed):
        bodies = {"list-by-condition": b"[]", "fetch": task, "image-seed": body}
        answer(lambda target, bodies=bodies: (200, bodies[target.rpartition("/")[2]]))
        ended = call("probe", "--ids", "json")

        assert PATH == rows(ended)["seed"]
        assert "a task that is not yours" == rows(ended)["unknown id"]


# --- words ------------------------------------------------------------------------------------


def test_what_is_unknown_is_left_out() -> None:
    """Values that are "auto" are in neither line."""
    assert ("Dialect()", "") == (dialect_as_python(Dialect()), dialect_as_options(Dialect()))
    assert "--auth none" == dialect_as_options(Dialect(auth="none"))


def test_a_task_that_is_unknown_is_told_as_it_was() -> None:
    """The row has status, code and text if the answer has them."""
    refusal = errors.TaskNotFoundError(status_code=404, code=3, description="不存在")

    assert "HTTP 404, code 3: 不存在" == describe_unknown_id(refusal)
    assert "HTTP 404, an empty body" == describe_unknown_id(
        errors.TaskNotFoundError(status_code=404)
    )


def test_an_upstream_that_has_no_list_is_not_the_gateway() -> None:
    """A refusal with a code comes from the gateway's upstream, so the route exists."""
    relayed = errors.UnsupportedError(status_code=404, code=4)

    assert describe_ids("auto", relayed).startswith("not found: ")
