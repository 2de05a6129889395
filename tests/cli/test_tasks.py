"""`mj-async fetch`, `seed`, `list` and `wait`."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from mj_async import parse_task
from mj_async.testing import FakeGateway

from ._commands import DONE, Ended, run

Call = Callable[..., Ended]
Serve = Callable[[FakeGateway], str]
ESCAPE = "\x1b[31m[bold]red[/]\x9b"


def numbered(count: int) -> list[str]:
    """Return that many ids."""
    return [f"17306218{number:08}" for number in range(count)]


@pytest.fixture
def gateway(serve: Serve) -> FakeGateway:
    """Serve a gateway with one task of each kind."""
    gateway = FakeGateway()
    gateway.add_task("1", DONE, seed="1387462901", prompt=f"小猪 {ESCAPE}")
    gateway.add_task("2", [(0, "FAILURE", "")], fail_reason=f"Banned {ESCAPE}")
    gateway.add_task("3", [(0, "IN_PROGRESS", "40%")])
    gateway.add_task("4", DONE)
    serve(gateway)
    return gateway


# --- fetch ------------------------------------------------------------------------------------


@pytest.mark.usefixtures("gateway")
def test_fetch_shows_a_task(call: Call) -> None:
    """A task is lines of a label and a value, without control characters."""
    ended = call("fetch", "1")

    assert (0, "") == (ended.code, ended.err)
    assert "status     SUCCESS 100%\n" in ended.out
    assert "prompt     小猪  [31m[bold]red[/] \n" in ended.out
    assert "submitted  2024-11-03 08:17:06 UTC\n" in ended.out
    assert "buttons    U1 U2 U3 U4 🔄 V1 V2 V3 V4\n" in ended.out


@pytest.mark.usefixtures("gateway")
def test_fetching_a_failed_task_is_no_failure(call: Call) -> None:
    """The command ends with 0 for a failed task."""
    ended = call("fetch", "2")

    assert (0, "") == (ended.code, ended.err)
    assert "reason     Banned  [31m[bold]red[/] \n" in ended.out


@pytest.mark.usefixtures("gateway")
def test_fetch_gives_machines_the_wire_form(call: Call) -> None:
    """`--json` prints one line that parses as the same task, with control characters escaped."""
    ended = call("fetch", "1", "--json")

    assert 0 == ended.code
    assert f"小猪 {ESCAPE}" == parse_task(ended.out).prompt
    assert ended.lines[0] == parse_task(ended.out).to_dict()
    assert not {"\x1b", "\x9b"} & set(ended.out)
    assert 1 == ended.out.count("\n")


@pytest.mark.usefixtures("gateway")
def test_an_unknown_id_ends_with_1(call: Call) -> None:
    """An unknown id is one line on stderr, or JSON on stdout."""
    plain, machine = call("fetch", "5"), call("fetch", "5", "--json")

    assert (1, "") == (plain.code, plain.out)
    assert plain.err.startswith("mj-async: the gateway does not know the task (task 5")
    assert 1 == plain.err.count("\n")
    assert (1, "") == (machine.code, machine.err)
    (line,) = machine.lines
    assert ("5", "TaskNotFoundError") == (line["id"], line["error"]["type"])
    assert line["error"]["message"].startswith("the gateway does not know the task")


@pytest.mark.parametrize("machine", [[], ["--json"]], ids=["plain", "json"])
def test_a_gateway_that_gives_nothing_usable_ends_with_3(
    gateway: FakeGateway, call: Call, machine: list[str]
) -> None:
    """A web page is one line without escape sequences, and exit 3."""
    headers, body = {"content-type": "text/html"}, b"<html>\x1b[31m</html>"
    gateway.fail_next(10, status=200, headers=headers, body=body)
    ended = call("fetch", "1", *machine)

    assert 3 == ended.code
    assert 1 == (ended.out + ended.err).count("\n")
    assert "\x1b" not in ended.out + ended.err
    assert bool(machine) == bool(ended.out)


@pytest.mark.usefixtures("gateway")
def test_an_address_without_a_gateway_ends_with_3(call: Call) -> None:
    """A closed port is exit 3."""
    ended = call("fetch", "1", "--base-url", "http://127.0.0.1:1")

    assert (3, "") == (ended.code, ended.out)


@pytest.mark.usefixtures("gateway")
@pytest.mark.parametrize("command", ["fetch", "fetch --json", "seed", "list", "wait", "seeds"])
def test_a_bad_id_ends_with_2(gateway: FakeGateway, call: Call, command: str) -> None:
    """A bad id is refused before the first request, on stderr with --json as well."""
    ended = call(*command.split(), "a/b")

    step = "next: give ids as the gateway gave them, each as one argument"
    assert Ended(2, "", f"mj-async: the task id 'a/b' has a slash; {step}\n") == ended
    assert () == gateway.requests


# --- seed -------------------------------------------------------------------------------------


@pytest.mark.usefixtures("gateway")
def test_seed_prints_the_seed_alone(call: Call) -> None:
    """There is nothing but the seed on stdout, for `$(mj-async seed ID)`."""
    assert Ended(0, "1387462901\n", "") == call("seed", "1")


@pytest.mark.usefixtures("gateway")
@pytest.mark.parametrize("task_id", ["3", "4", "5"], ids=["unfinished", "seedless", "unknown"])
def test_without_a_seed_nothing_is_printed(call: Call, task_id: str) -> None:
    """Without a seed, stdout is empty and stderr has the reason."""
    ended = call("seed", task_id)

    assert (1, "", 1) == (ended.code, ended.out, ended.err.count("\n"))


def test_a_documented_answer_without_a_seed_is_none(serve: Serve, call: Call) -> None:
    """An answer that is a task without a seed is exit 1."""
    gateway = FakeGateway("documented")
    gateway.add_task("1", DONE)
    serve(gateway)
    ended = call("seed", "1")

    assert (1, "") == (ended.code, ended.out)
    assert "task 1 has no seed" in ended.err


# --- list -------------------------------------------------------------------------------------


@pytest.mark.usefixtures("gateway")
def test_list_shows_a_row_for_each_id_in_the_order_asked(call: Call, tmp_path: Path) -> None:
    """Each id of arguments and file has one row, in their order; totals are on stderr."""
    (tmp_path / "ids").write_text("# mine\n\n2\r\n1\n2\n 5 \n4")
    ended = call("list", "3", "1", "--from", str(tmp_path / "ids"))
    rows = ended.out.splitlines()

    assert 1 == ended.code
    assert ["3", "1", "2", "5", "4"] == [row.split()[0] for row in rows]
    assert rows[0].startswith("3 IN_PROGRESS  40% ")
    assert "Banned  [31m[bold]red[/] " in rows[2]
    assert rows[3].startswith("5 TaskNotFoundError    -      - the gateway does not know")
    totals = "5 of 5 listed: 2 SUCCESS, 1 IN_PROGRESS, 1 FAILURE, 1 TaskNotFoundError"
    assert f"mj-async: {totals}\n" == ended.err


@pytest.mark.usefixtures("gateway")
def test_list_gives_machines_a_line_each(call: Call) -> None:
    """In JSON a task has the gateway's fields, and an unknown id has an error."""
    ended = call("list", "1", "5", "2", "--json")

    assert 1 == ended.code
    assert ["1", "5", "2"] == [line["id"] for line in ended.lines]
    assert "TaskNotFoundError" == ended.lines[1]["error"]["type"]
    assert "FAILURE" == ended.lines[2]["status"]


def test_one_listed_task_needs_no_totals(gateway: FakeGateway, call: Call) -> None:
    """One listed task is one row, without totals."""
    ended = call("list", "1")

    assert (0, 1, "") == (ended.code, ended.out.count("\n"), ended.err)
    assert 1 == len(gateway.requests)


def test_list_takes_any_number(serve: Serve, call: Call, tmp_path: Path) -> None:
    """A thousand ids are a thousand rows in their order, and ten requests."""
    gateway, ids = FakeGateway(), numbered(1000)
    for task_id in reversed(ids):
        gateway.add_task(task_id, DONE)
    serve(gateway)
    (tmp_path / "ids").write_text("\n".join(ids))
    ended = call("list", "--from", str(tmp_path / "ids"))

    assert 0 == ended.code
    assert ids == [row.split()[0] for row in ended.out.splitlines()]
    assert 10 == len(gateway.requests)


@pytest.mark.parametrize("machine", [[], ["--json"]], ids=["plain", "json"])
def test_a_list_that_breaks_off_keeps_what_came(
    serve: Serve, call: Call, machine: list[str]
) -> None:
    """The received tasks are printed, JSON has the other ids as errors, and the exit code is 3."""
    gateway, ids = FakeGateway(), numbered(150)
    first = [{"id": task_id, "status": "SUCCESS"} for task_id in ids[:99]]
    gateway.fail_next(1, status=200, body=json.dumps(first).encode())
    gateway.fail_next(10, status=401)
    serve(gateway)
    ended = call("list", *ids, *machine)

    assert 3 == ended.code
    assert "mj-async: the gateway refused the key (HTTP 401)" in ended.err
    assert "100 of 150 listed: 99 SUCCESS, 1 TaskNotFoundError" in ended.err
    if machine:
        assert ids == [line["id"] for line in ended.lines]
        assert ["AuthenticationError"] * 50 == [one["error"]["type"] for one in ended.lines[100:]]
    else:
        assert 100 == ended.out.count("\n")


def test_an_empty_list_is_nothing_to_do(gateway: FakeGateway, call: Call, tmp_path: Path) -> None:
    """A file without ids is no error."""
    (tmp_path / "ids").write_text("# none yet\n")

    assert Ended(0, "", "mj-async: 0 of 0 listed\n") == call(
        "list", "--from", str(tmp_path / "ids")
    )
    assert () == gateway.requests


# --- wait -------------------------------------------------------------------------------------


@pytest.mark.usefixtures("gateway")
def test_wait_ends_with_0_when_all_have_succeeded(call: Call, gateway: FakeGateway) -> None:
    """Each task is printed when it has ended."""
    call("list", "1")  # loads the command, which takes as long as the task
    gateway.add_task("6", [(0, "SUBMITTED", "0%"), (0.5, "SUCCESS", "100%")])
    ended = call("wait", "6", "1", "--interval", "0.1")

    assert 0 == ended.code
    assert ["1 SUCCESS", "6 SUCCESS"] == [row[:9] for row in ended.out.splitlines()]
    assert "mj-async: 2 of 2 ended: 2 SUCCESS\n" == ended.err


@pytest.mark.usefixtures("gateway")
def test_wait_tells_what_did_not_succeed(call: Call) -> None:
    """In JSON a failed task has its fields, a late one has an error; the exit code is 1."""
    ended = call("wait", "2", "3", "--json", "--timeout", "0.3", "--interval", "0.1")
    failed, late = ended.lines

    assert 1 == ended.code
    assert ("2", "FAILURE") == (failed["id"], failed["status"])
    assert ("3", "WaitTimeoutError") == (late["id"], late["error"]["type"])
    assert "2 of 2 ended: 1 FAILURE, 1 WaitTimeoutError" in ended.err


@pytest.mark.usefixtures("gateway")
def test_a_late_task_is_shown_as_last_seen(call: Call) -> None:
    """The row of a late task has its last progress."""
    ended = call("wait", "3", "--timeout", "0.2")

    assert 1 == ended.code
    assert ended.out.startswith("3 WaitTimeoutError  40% ")
    assert "" == ended.err


@pytest.mark.parametrize("machine", [[], ["--json"]], ids=["plain", "json"])
def test_a_refused_key_ends_all_waits(gateway: FakeGateway, call: Call, machine: list[str]) -> None:
    """A refused key ends the run, and JSON has an error for each id under way."""
    gateway.fail_next(100, status=403)
    ended = call("wait", "1", "3", *machine)

    assert 3 == ended.code
    assert 1 == ended.err.count("the gateway does not allow this")
    assert (2 if machine else 0) == ended.out.count("PermissionDeniedError")


@pytest.mark.parametrize(("option", "value"), [("--timeout", "0"), ("--interval", "-1")])
def test_a_wait_with_a_bad_time_ends_with_2(
    gateway: FakeGateway, call: Call, option: str, value: str
) -> None:
    """A bad time is refused before the first request."""
    ended = call("wait", "1", option, value)

    assert (2, "", 1) == (ended.code, ended.out, ended.err.count("\n"))
    assert () == gateway.requests


@pytest.mark.usefixtures("gateway")
def test_wait_begins_while_ids_still_come(call: Call, tmp_path: Path) -> None:
    """The wait for an id of a pipe begins when it is read; the timeout is for the whole command."""
    pipe = tmp_path / "ids"
    os.mkfifo(pipe)
    first_is_out, out = threading.Event(), []

    def feed() -> None:
        with pipe.open("w") as ids:
            ids.write("1\n")
            ids.flush()
            first_is_out.wait(0.8)
            ids.write("3\n")

    feeder = threading.Thread(target=feed)
    feeder.start()
    ended = call("wait", "--from", str(pipe), "--timeout", "0.5")
    feeder.join()
    out = ended.out.splitlines()

    assert 1 == ended.code
    assert out[0].startswith("1 SUCCESS")
    assert out[1].startswith("3 WaitTimeoutError    -      - task 3: it was not done in time")
    assert "2 ended: 1 SUCCESS, 1 WaitTimeoutError" in ended.err


@pytest.mark.usefixtures("gateway")
@pytest.mark.parametrize("command", ["list", "wait"])
def test_a_bad_line_of_standard_input_is_refused_when_it_is_read(command: str) -> None:
    """A bad line is refused with its number; the ids before it are done, those after it are not."""
    ended = run(command, "--from", "-", given="# mine\n1\n\na/b\n2\n")

    assert (2, 1) == (ended.code, ended.out.count("\n"))
    assert ended.out.startswith("1 SUCCESS")
    assert (
        "mj-async: standard input, line 4: the task id 'a/b' has a slash; next: correct"
        in ended.err
    )
