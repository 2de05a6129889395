"""`mj-async seeds`, against a gateway on real TCP."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import resource
import subprocess
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from subprocess import PIPE

import pytest

from mj_async import errors
from mj_async.cli.commands._seeds import output_mode, resume_command
from mj_async.testing import FakeGateway, FakeRequest

from ._commands import COMMAND, DONE, Ended, run, run_redirected, start

Call = Callable[..., Ended]
Serve = Callable[[FakeGateway], str]
QUICKLY = ["--ask-again-after", "0.1"]
FINAL = ["0", "1", "2", "4", "5", "6"]


@pytest.fixture
def gateway(serve: Serve) -> FakeGateway:
    """Serve a gateway with a task of each kind; only task 3 has not ended."""
    gateway = FakeGateway("csharp")
    gateway.add_task("0", DONE, seed="0", prompt="小猪 \x1b[31m\x9b")
    gateway.add_task("1", DONE, seed="1387462901")
    gateway.add_task("2", [(0, "FAILURE", "")])
    gateway.add_task("3", [(0, "IN_PROGRESS", "40%")])
    gateway.add_task("4", DONE)
    gateway.add_task("5", [(0, "CANCEL", "")])
    serve(gateway)
    return gateway


@pytest.fixture
def ids(tmp_path: Path) -> str:
    """Write a file with the ids 0 to 6, the last of which is unknown."""
    (tmp_path / "ids").write_text("0\n1\n2\n3\n4\n5\n6\n1\n")
    return str(tmp_path / "ids")


def asked_for(requests: Sequence[FakeRequest]) -> set[str]:
    """Return the ids in the requests."""
    listed = [json.loads(one.body)["ids"] for one in requests if one.body]
    singly = [one.target.split("/")[3] for one in requests if "image-seed" in one.target]
    return set(singly).union(*listed)


def read(path: Path) -> dict[str, dict[str, object]]:
    """Read an output file: its lines by id, one for each id."""
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    found = {line["task_id"]: line for line in lines}

    assert len(lines) == len(found)
    return found


# --- what is written --------------------------------------------------------------------------


@pytest.mark.usefixtures("gateway")
def test_lines_go_to_standard_output(call: Call, ids: str) -> None:
    """Each final outcome is a line; the others are counted on stderr."""
    ended = call("seeds", "--from", ids, "--concurrency", "2")
    lines = {line["task_id"]: line for line in ended.lines}

    assert 1 == ended.code
    assert FINAL == sorted(lines)
    assert ("0", "小猪 \x1b[31m\x9b", None) == (
        lines["0"]["seed"],
        lines["0"]["prompt"],
        lines["0"]["error"],
    )
    assert {"task_id", "seed", "source", "status", "prompt", "image_url", "error"} == set(
        lines["0"]
    )
    assert "TaskFailedError" == lines["2"]["error"]["type"]
    assert not {"\x1b", "\x9b"} & set(ended.out)
    assert "found 2" in ended.err
    assert "mj-async: without a final answer, and so not written: 1\n" in ended.err
    assert "mj-async: the last of their errors: task 3 has no seed; its status is" in ended.err
    assert "mj-async: next: give --output FILE, so that a run can be resumed\n" in ended.err


@pytest.mark.usefixtures("gateway")
def test_lines_go_into_a_file(call: Call, ids: str, tmp_path: Path) -> None:
    """The file is UTF-8, and stdout stays empty."""
    output = tmp_path / "seeds"
    ended = call("seeds", "--from", ids, "--output", str(output))

    assert (1, "") == (ended.code, ended.out)
    assert FINAL == sorted(read(output))
    assert "小猪 \\u001b[31m\\u009b" in output.read_text("utf-8")
    advice = f"to continue: mj-async seeds --resume --from {ids} --output {output}\n"
    assert ended.err.endswith(advice)


@pytest.mark.usefixtures("gateway")
def test_all_seeds_end_with_0(call: Call) -> None:
    """A complete run prints one line of totals, and no way to continue."""
    ended = call("seeds", "0", "1")

    assert (0, 2, 1) == (ended.code, len(ended.lines), ended.err.count("\n"))


def test_an_empty_file_is_nothing_to_do(gateway: FakeGateway, call: Call, tmp_path: Path) -> None:
    """A file without ids makes an empty output."""
    (tmp_path / "ids").touch()
    ended = call("seeds", "--from", str(tmp_path / "ids"), "--output", str(tmp_path / "seeds"))

    assert (0, "") == (ended.code, ended.out)
    assert {} == read(tmp_path / "seeds")
    assert () == gateway.requests


def test_what_is_in_trouble_is_asked_for_again(gateway: FakeGateway, call: Call) -> None:
    """An id without a final answer is asked for again after `--ask-again-after` seconds."""
    gateway.fail_next(2, status=502)
    ended = call("seeds", "0", "1", *QUICKLY)

    assert (0, 2) == (ended.code, len(ended.lines))


def test_several_seeds_may_be_one_request(serve: Serve, call: Call) -> None:
    """In the documented form `--batch-size` puts several ids into one request."""
    gateway = FakeGateway("documented")
    for task_id in ("1", "2", "3"):
        gateway.add_task(task_id, DONE, seed=task_id)
    serve(gateway)
    ended = call("seeds", "1", "2", "3", "--batch-size", "3", "--seed-form", "multipart")
    bodies = [one.body for one in gateway.requests if "image-seed" in one.target]

    assert (0, 3) == (ended.code, len(ended.lines))
    assert 3 == bodies[0].count(b'name="ids"')


def test_several_seeds_need_the_documented_form(
    gateway: FakeGateway, call: Call, tmp_path: Path
) -> None:
    """Otherwise `--batch-size` is refused before the first request, and nothing is overwritten."""
    (tmp_path / "seeds").write_text("mine\n")
    output = ["--output", str(tmp_path / "seeds"), "--overwrite"]
    ended = call("seeds", "1", "--batch-size", "3", *output)

    assert (2, "mine\n") == (ended.code, (tmp_path / "seeds").read_text())
    assert () == gateway.requests


# --- going on ---------------------------------------------------------------------------------


def test_resuming_asks_only_for_the_rest(
    gateway: FakeGateway, call: Call, ids: str, tmp_path: Path
) -> None:
    """Ids in the file are not asked for again, and count for the exit code."""
    output = tmp_path / "seeds"
    call("seeds", "--from", ids, "--output", str(output))
    before = output.read_bytes()
    asked = len(gateway.requests)
    gateway.add_task("3", DONE, seed="3")
    ended = call("seeds", "--from", ids, "--output", str(output), "--resume")

    assert 1 == ended.code
    said = "s: found 1; already in the file: 6 (4 without a seed)\n"
    assert ended.err.endswith(said)
    assert output.read_bytes().startswith(before)
    assert "3" == read(output)["3"]["seed"]
    assert {"3"} == asked_for(gateway.requests[asked:])


@pytest.mark.usefixtures("gateway")
def test_resuming_what_is_not_there_begins(call: Call, ids: str, tmp_path: Path) -> None:
    """--resume works without a file as well."""
    call("seeds", "--from", ids, "--output", str(tmp_path / "seeds"), "--resume")

    assert FINAL == sorted(read(tmp_path / "seeds"))


@pytest.mark.usefixtures("gateway")
def test_resuming_takes_ids_from_standard_input(ids: str, tmp_path: Path) -> None:
    """Finished ids of standard input are skipped, and the last line says how to continue."""
    output = tmp_path / "seeds"
    for _ in range(2):
        given = Path(ids).read_text("utf-8")
        ended = run("seeds", "--from", "-", "--output", str(output), "--resume", given=given)

    assert 1 == ended.code
    assert " unfinished 1; already in the file: 6 (4 without a seed)" in ended.err
    assert ended.err.endswith(
        "--resume --from - --output x (the same ids on standard input)\n".replace("x", str(output))
    )
    assert FINAL == sorted(read(output))


@pytest.mark.usefixtures("gateway")
def test_overwriting_begins_anew(call: Call, tmp_path: Path) -> None:
    """--overwrite replaces the content."""
    (tmp_path / "seeds").write_text("something else\n")
    ended = call("seeds", "1", "--output", str(tmp_path / "seeds"), "--overwrite")

    assert 0 == ended.code
    assert ["1"] == list(read(tmp_path / "seeds"))


# --- refused before the first request ---------------------------------------------------------


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Change into a folder with some files and a link."""
    monkeypatch.chdir(tmp_path)
    files = {"there": b"mine\n", "bad": b"1\na/b\n", "good": b"1\n"}
    for name, content in files.items():
        Path(name).write_bytes(content)
    Path("link").symlink_to("good")
    return files


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["1", "--resume"], "--resume needs --output FILE"),
        (["1", "--output", "there"], "there exists; next: give --resume"),
        (
            ["1", "--output", "there", "--resume"],
            "there, line 1: it is not a line of mj-async seeds",
        ),
        (["1", "--output", "no/seeds"], "cannot write no/seeds: No such file or directory"),
        (["--from", "bad", "--output", "there", "--overwrite"], "bad, line 2: the task id 'a/b'"),
        (
            ["--from", "good", "--output", "link", "--resume"],
            "--from and --output are the same file",
        ),
        (["1", "--concurrency", "0", "--output", "there", "--overwrite"], "concurrency must be"),
        ([], "no ids: give some"),
    ],
)
def test_what_cannot_work_ends_with_2(
    gateway: FakeGateway, call: Call, files: dict[str, bytes], arguments: list[str], said: str
) -> None:
    """No request is sent, no file is changed, and none is left."""
    ended = call("seeds", *arguments)

    assert (2, "") == (ended.code, ended.out)
    assert said in ended.err.splitlines()[0]
    assert () == gateway.requests
    assert {*files, "link"} == {path.name for path in Path().iterdir()}
    assert files == {name: Path(name).read_bytes() for name in files}


@pytest.mark.usefixtures("gateway")
def test_what_another_process_writes_is_refused(call: Call, tmp_path: Path) -> None:
    """A file that another process writes stays as it is, also with --overwrite."""
    output = tmp_path / "seeds"
    output.write_text("half a li")
    with output.open() as theirs:
        fcntl.flock(theirs, fcntl.LOCK_EX)
        for option in ("--resume", "--overwrite"):
            ended = call("seeds", "1", "--output", str(output), option)
            problem = f"another process is writing {output}"
            step = "next: wait for it, or give another --output"
            assert Ended(2, "", f"mj-async: {problem}; {step}\n") == ended
    assert "half a li" == output.read_text()


# --- what ends a run --------------------------------------------------------------------------


def test_a_refused_key_ends_with_3(
    gateway: FakeGateway, call: Call, ids: str, tmp_path: Path
) -> None:
    """A refused key is exit 3, and no empty file is left."""
    gateway.fail_next(100, status=401)
    ended = call("seeds", "--from", ids, "--output", str(tmp_path / "seeds"))

    assert (3, "") == (ended.code, ended.out)
    assert ended.err.startswith("mj-async: the gateway ")
    assert "to continue: mj-async seeds --resume" in ended.err
    assert not (tmp_path / "seeds").exists()


def test_a_gateway_that_is_down_ends_with_3(
    call: Call, tmp_path: Path, gateway: FakeGateway
) -> None:
    """A gateway that does not answer is exit 3, and no file is left."""
    nowhere = ["--base-url", "http://127.0.0.1:1", *QUICKLY]
    ended = call("seeds", "1", "--output", str(tmp_path / "seeds"), *nowhere)

    assert (3, "") == (ended.code, ended.out)
    assert not (tmp_path / "seeds").exists()


@pytest.mark.usefixtures("gateway")
def test_a_bad_line_of_standard_input_ends_with_2(tmp_path: Path) -> None:
    """The ids before a bad line have their lines."""
    output = tmp_path / "seeds"
    ended = run("seeds", "--from", "-", "--output", str(output), given="0\n1\na/b\n2\n")

    assert 2 == ended.code
    assert (
        "mj-async: standard input, line 3: the task id 'a/b' has a slash; next: correct"
        in ended.err
    )
    assert {"0", "1"} == set(read(output))


def test_a_closed_standard_input_cannot_be_read(gateway: FakeGateway) -> None:
    """A closed standard input is an error, and not an empty list."""
    ended = run_redirected("<&-", "seeds", "--from", "-")

    said = "mj-async: cannot read standard input: it is closed; next: give --from FILE\n"
    assert Ended(2, "", said) == ended
    assert () == gateway.requests


def test_a_file_that_may_not_grow_keeps_its_lines(gateway: FakeGateway, tmp_path: Path) -> None:
    """A file that reaches a size limit keeps whole lines, and can be resumed later."""
    output, ids = tmp_path / "seeds", [str(number) for number in range(40)]
    for task_id in ids:
        gateway.add_task(task_id, DONE, seed="5", prompt="小猪" * 20)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))

    command = [*COMMAND, "seeds", *ids, "--output", str(output)]
    ended = subprocess.run(  # the limit is to be the child's
        command,
        check=False,
        capture_output=True,
        text=True,
        preexec_fn=limit,
        env={**os.environ, "COVERAGE_PROCESS_START": "", "COVERAGE_PROCESS_CONFIG": ""},
    )

    assert 1 == ended.returncode
    assert "File too large; its lines are kept" in ended.stderr
    assert 0 < len(read(output)) < 40
    assert output.read_bytes().endswith(b"}\n")
    assert 0 == run("seeds", *ids, "--output", str(output), "--resume").code
    assert set(ids) == set(read(output))


@pytest.mark.parametrize("command", ["seeds", "wait"])
def test_a_reader_that_leaves_ends_it_quietly(
    gateway: FakeGateway, command: str, tmp_path: Path
) -> None:
    """A run that is piped into head ends without a message."""
    for number in range(1000):
        gateway.add_task(str(number), DONE, seed="5")
    os.mkfifo(tmp_path / "pipe")
    feeding = os.open(tmp_path / "pipe", os.O_RDWR)
    arguments = ["--from", str(tmp_path / "pipe"), "--timeout", "9"]
    arguments = arguments if command == "wait" else arguments[:2]
    with start(command, *arguments, stdout=PIPE, stderr=PIPE) as process:
        os.write(feeding, b"".join(b"%d\n" % number for number in range(500)))
        assert process.stdout is not None
        assert process.stdout.readline()
        process.stdout.close()
        os.write(feeding, b"".join(b"%d\n" % number for number in range(500, 1000)))
        os.close(feeding)
        _, said = process.communicate(timeout=30)

    assert (1, "") == (process.returncode, said)


# --- the disk ---------------------------------------------------------------------------------


def fed_slowly(gateway: FakeGateway, call: Call, tmp_path: Path) -> Ended:
    """Run the command with a hundred ids, and one more 2.5 seconds later."""
    for number in range(101):
        gateway.add_task(str(number), DONE, seed="5")
    os.mkfifo(tmp_path / "pipe")
    feeding = os.open(tmp_path / "pipe", os.O_RDWR)
    os.write(feeding, b"".join(b"%d\n" % number for number in range(100)))

    def feed() -> None:
        os.write(feeding, b"100\n")
        os.close(feeding)

    timer = threading.Timer(2.5, feed)
    timer.start()
    ended = call("seeds", "--from", str(tmp_path / "pipe"), "--output", str(tmp_path / "seeds"))
    timer.join()
    return ended


def test_what_is_written_reaches_the_disk(
    gateway: FakeGateway, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is synced each second and at the end, also while no ids come."""
    sync, sizes = os.fsync, []

    def note(file: int) -> None:
        sizes.append(os.fstat(file).st_size)
        sync(file)

    monkeypatch.setattr(os, "fsync", note)

    assert 0 == fed_slowly(gateway, call, tmp_path).code
    assert len(sizes) >= 2
    assert 0 < sizes[0] < sizes[-1] == (tmp_path / "seeds").stat().st_size


def test_what_does_not_reach_the_disk_ends_with_1(
    gateway: FakeGateway, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failed sync is exit 1, and the file is kept."""

    def fail(_file: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    ended = fed_slowly(gateway, call, tmp_path)

    assert 1 == ended.code
    assert f"cannot write {tmp_path / 'seeds'}: Input/output error; its lines" in ended.err
    assert (tmp_path / "seeds").exists()


@pytest.mark.usefixtures("gateway")
def test_the_last_lines_reach_the_disk_or_it_ends_with_1(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A short run is synced at its end, and a failure is exit 1."""

    def fail(_file: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    ended = call("seeds", "1", "--output", str(tmp_path / "seeds"))

    assert 1 == ended.code
    assert ended.err.endswith("Input/output error; its lines are kept\n")


# --- options -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("output", "resume", "overwrite", "mode"),
    [
        (None, False, False, "new"),
        (Path("x"), False, False, "new"),
        (Path("x"), True, False, "resume"),
        (Path("x"), False, True, "overwrite"),
    ],
)
def test_options_make_a_mode(
    output: Path | None,
    resume: bool,  # noqa: FBT001
    overwrite: bool,  # noqa: FBT001
    mode: str,
) -> None:
    """Without an option the output must be new."""
    assert mode == output_mode(output, resume=resume, overwrite=overwrite)


@pytest.mark.parametrize(
    ("output", "resume", "overwrite", "said"),
    [
        (None, True, False, "--resume needs --output FILE"),
        (None, False, True, "--overwrite needs --output FILE"),
        (Path("x"), True, True, "give --resume or --overwrite, not both"),
    ],
)
def test_options_that_contradict_each_other_are_refused(
    output: Path | None,
    resume: bool,  # noqa: FBT001
    overwrite: bool,  # noqa: FBT001
    said: str,
) -> None:
    """Options that exclude each other, or need --output, are refused."""
    with pytest.raises(errors.ConfigurationError, match=said):
        output_mode(output, resume=resume, overwrite=overwrite)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["seeds", "1"], "mj-async seeds --resume 1"),
        (
            ["seeds", "--overwrite", "--from", "my ids", "--output", "o"],
            "mj-async seeds --resume --from 'my ids' --output o",
        ),
        (["seeds", "--resume", "--", "-x"], "mj-async seeds --resume -- -x"),
        (
            ["seeds", "--from", "-"],
            "mj-async seeds --resume --from - (the same ids on standard input)",
        ),
        (
            ["seeds", "--from=-"],
            "mj-async seeds --resume --from=- (the same ids on standard input)",
        ),
        (["seeds", *map(str, range(1000))], "the same command with --resume"),
    ],
)
def test_a_run_tells_how_to_go_on(arguments: list[str], line: str) -> None:
    """The command line can be copied; a very long one is not printed."""
    assert line == resume_command(arguments)
