"""How the command line reads ids: lines, chunks, files, pipes, and each id once."""

from __future__ import annotations

import os
import tracemalloc
from itertools import pairwise
from pathlib import Path

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mj_async import AsyncMJClient, errors
from mj_async.cli.files._ids import IdParser, Ids
from mj_async.cli.files._input import Input

CLIENT = AsyncMJClient("sk-key", base_url="https://gateway.test")
check = CLIENT.watch_task

FILE = "\ufeff# mine\n1\r\n\n  2 \n\t\n#3\n任务-4\n5".encode()


def read(*chunks: bytes) -> list[str]:
    """Parse chunks, and then the end."""
    reader = IdParser("ids", check)
    return [task_id for chunk in (*chunks, b"") for task_id in reader.feed(chunk)]


def test_ids_are_the_lines_that_are_no_comments() -> None:
    """Blank lines, comments, white space, CR and a byte order mark are skipped."""
    assert ["1", "2", "任务-4", "5"] == read(FILE)


@given(st.lists(st.integers(0, len(FILE)), max_size=6))
def test_chunks_may_end_anywhere(cuts: list[int]) -> None:
    """A chunk may end inside of a character, or between CR and LF."""
    edges = [0, *sorted(cuts), len(FILE)]
    chunks = [FILE[begin:end] for begin, end in pairwise(edges)]

    assert ["1", "2", "任务-4", "5"] == read(*filter(None, chunks))


def test_no_bytes_are_no_ids() -> None:
    """An empty file has no ids, and is no error."""
    assert [] == read()


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"a/b", "the task id 'a/b' has a slash"),
        (b"..", "the task id '..' is a step in a path"),
        (b"a\rb", "has a control character"),
        (b"\0\0", "has a control character"),
        (b"a" * 257, "is longer than 256 characters"),
        (b"\xff\xfe1\0", "it is not UTF-8 text"),
        (b"\xe4\xbb", "it is not UTF-8 text"),
        (b"#" * 65_537, "it is longer than 65536 bytes"),
    ],
)
def test_a_bad_line_is_refused_with_its_number(line: bytes, problem: str) -> None:
    """The ids before a bad line are returned, and its number counts skipped lines as well."""
    reader = IdParser("ids.txt", check)
    found = reader.feed(b"\n# one\n1\n" + line + b"\n2\n")

    assert "1" == next(found)
    with pytest.raises(errors.ConfigurationError) as caught:
        next(found)
    assert str(caught.value).startswith("ids.txt, line 4: ")
    assert problem in str(caught.value)


def test_a_line_without_end_is_not_collected() -> None:
    """A file without line breaks is refused after some kilobytes."""
    with (
        pytest.raises(errors.ConfigurationError, match=r"line 1: it is longer"),
        Path("/dev/zero").open("rb") as zeros,
    ):
        read(*(zeros.read(65_536) for _ in range(3)))


# --- sources ----------------------------------------------------------------------------------


def collect(ids: Ids) -> list[str]:
    """Return all ids."""

    async def run() -> list[str]:
        return [task_id async for task_id in ids]

    return anyio.run(run)


def test_each_id_is_given_once(tmp_path: Path) -> None:
    """Arguments come first, and duplicates lower the total."""
    (tmp_path / "ids").write_text("3\n1\n4\n3\n")
    ids = Ids(["1", "2", "1"], str(tmp_path / "ids"), check)

    assert 7 == ids.total
    assert ["1", "2", "3", "4"] == collect(ids)
    assert 4 == ids.total


def test_what_is_done_is_not_given(tmp_path: Path) -> None:
    """Ids in `seen` are skipped."""
    (tmp_path / "ids").write_text("1\n2\n3\n")
    ids = Ids([], str(tmp_path / "ids"), check)
    ids.seen.add("2")

    assert ["1", "3"] == collect(ids)


def test_a_file_is_looked_through_first(tmp_path: Path) -> None:
    """A bad line at the end of a file is found when Ids is made."""
    (tmp_path / "ids").write_text("1\n" * 100_000 + "a/b")

    with pytest.raises(errors.ConfigurationError, match="line 100001: the task id 'a/b'"):
        Ids([], str(tmp_path / "ids"), check)


def test_a_file_that_changes_is_checked_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A bad line that appears later ends the ids with a message."""
    (tmp_path / "ids").write_text("1\n2\n")
    ids = Ids([], str(tmp_path / "ids"), check)
    (tmp_path / "ids").write_text("1\na/b\n")

    assert ["1"] == collect(ids)
    assert "line 2: the task id 'a/b' has a slash" in str(ids.problem)
    assert str(ids.problem) in capsys.readouterr().err


def test_a_pipe_may_end_without_a_line_break(tmp_path: Path) -> None:
    """The last line of a pipe counts without a line break."""
    os.mkfifo(tmp_path / "pipe")
    feeding = os.open(tmp_path / "pipe", os.O_RDWR)
    os.write(feeding, b"1\n2\na/b")
    ids = Ids([], str(tmp_path / "pipe"), check)
    os.close(feeding)

    assert ids.total is None
    assert ["1", "2"] == collect(ids)
    assert "line 3: the task id 'a/b' has a slash" in str(ids.problem)


def test_a_large_file_takes_no_memory(tmp_path: Path) -> None:
    """A file is read in chunks."""
    with (tmp_path / "ids").open("w") as file:
        file.writelines(f"17306218{number:08}\n" for number in range(100_000))
    tracemalloc.start()
    ids = Ids([], str(tmp_path / "ids"), check)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert 100_000 == ids.total
    assert peak < 1_000_000


@pytest.mark.parametrize(
    ("given", "source", "problem"),
    [
        ([], None, "no ids: give some, or --from FILE, or --from -"),
        (["a/b"], None, "the task id 'a/b' has a slash"),
        ([], "/nowhere/ids", "cannot read /nowhere/ids: No such file or directory"),
        ([], "/usr", "cannot read /usr: it is a directory"),
    ],
)
def test_what_cannot_be_read_is_refused(given: list[str], source: str | None, problem: str) -> None:
    """The message names the file."""
    with pytest.raises(errors.ConfigurationError) as caught:
        Ids(given, source, check)

    assert problem == str(caught.value).removesuffix("; next: give a file of ids to --from")


def test_what_ceases_to_be_readable_is_refused(tmp_path: Path) -> None:
    """An error while reading is a ConfigurationError as well."""
    (tmp_path / "ids").write_text("1\n")
    opened = Input.open(str(tmp_path / "ids"))
    opened.close()

    with pytest.raises(errors.ConfigurationError, match="ids: Bad file descriptor"):
        opened.read()
