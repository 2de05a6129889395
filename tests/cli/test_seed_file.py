"""The file that `mj-async seeds` writes: nothing is lost, nothing of anybody's is destroyed."""

from __future__ import annotations

import errno
import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from mj_async import ImageSeed, SeedOutcome, Task, errors
from mj_async.cli.files._seed_file import Mode, SeedFile, parse_seed_line
from mj_async.cli.output._terminal import OutputError
from mj_async.cli.output._text import to_json_line

LINE = json.dumps({"task_id": "1", "prompt": "小猪"}, ensure_ascii=False).encode() + b"\n"
OTHER = LINE.replace(b'"1"', b'"2"')


def resumed(path: Path) -> list[str]:
    """Resume a file, write one line, and return which of the ids 1, 2, 3 it had."""
    done = set[str]()
    with SeedFile.open(str(path), "resume") as file:
        file.read_finished_ids(done)
        file.start_writing()
        file.write_line({"task_id": "3"})
    return [task_id for task_id in "123" if task_id in done]


@pytest.mark.parametrize(
    ("content", "kept", "ids"),
    [
        (None, b"", []),
        (b"", b"", []),
        (LINE, LINE, ["1"]),
        (LINE + OTHER, LINE + OTHER, ["1", "2"]),
        (LINE + OTHER[:-1], LINE + OTHER, ["1", "2"]),
        (LINE + b"\0\0\0", LINE, ["1"]),
        (b"{", b"", []),
    ],
)
def test_a_file_is_gone_on_with(
    tmp_path: Path, content: bytes | None, kept: bytes, ids: list[str]
) -> None:
    """Whole lines stay, also without a line break; a truncated last line is cut off."""
    path = tmp_path / "seeds"
    if content is not None:
        path.write_bytes(content)

    assert ids == resumed(path)
    assert kept + b'{"task_id": "3"}\n' == path.read_bytes()


def test_a_line_may_be_torn_anywhere(tmp_path: Path) -> None:
    """A line may be truncated inside of a character as well."""
    for length in range(1, len(OTHER) - 1):
        (tmp_path / "seeds").write_bytes(LINE + OTHER[:length])

        assert ["1"] == resumed(tmp_path / "seeds")
        assert LINE + b'{"task_id": "3"}\n' == (tmp_path / "seeds").read_bytes()


@pytest.mark.parametrize(
    ("content", "number"),
    [
        (LINE + b'{"torn\n' + OTHER, 2),
        (LINE + b'{"torn\n', 2),
        (LINE + b"\n" + OTHER, 2),
        (LINE + b"\0\0\n" + OTHER, 2),
        (b"\xff\xfe\n", 1),
        (b"1730621826053455", 1),
        (LINE + b"{" * 2**25, 2),
    ],
    ids=["torn inside", "torn and ended", "blank", "zeros", "binary", "a list of ids", "endless"],
)
def test_what_is_none_of_ours_is_left_alone(tmp_path: Path, content: bytes, number: int) -> None:
    """Any other line is refused with its number, and the file stays as it is."""
    path = tmp_path / "seeds"
    path.write_bytes(content)

    with pytest.raises(
        errors.ConfigurationError, match=rf"seeds, line {number}: it is not a line of"
    ):
        resumed(path)
    assert content == path.read_bytes()


@pytest.mark.parametrize(
    ("path", "mode"), [("/nowhere/seeds", "new"), ("/usr", "overwrite"), ("/proc/seeds", "resume")]
)
def test_what_cannot_be_written_is_refused(path: str, mode: Mode) -> None:
    """A missing directory, a directory, and a file system without new files are refused."""
    with pytest.raises(errors.ConfigurationError, match=path):
        SeedFile.open(path, mode)


def test_what_cannot_be_read_is_refused() -> None:
    """An error while reading is a ConfigurationError."""
    file = SeedFile.open("/proc/self/mem", "resume")

    with pytest.raises(
        errors.ConfigurationError, match=r"cannot read /proc/self/mem: Input/output"
    ):
        file.read_finished_ids(set())
    os.close(file.file)


def test_an_output_that_exists_is_not_touched(tmp_path: Path) -> None:
    """A symbolic link is not touched either, even if its target is missing."""
    (tmp_path / "seeds").write_bytes(LINE)
    (tmp_path / "link").symlink_to("nowhere")

    for name in ("seeds", "link"):
        with pytest.raises(errors.ConfigurationError, match=f"{name} exists; next: give --resume"):
            SeedFile.open(str(tmp_path / name), "new")
    assert LINE == (tmp_path / "seeds").read_bytes()
    assert not (tmp_path / "nowhere").exists()


def test_a_link_is_followed(tmp_path: Path) -> None:
    """Resuming a symbolic link writes into its target."""
    (tmp_path / "seeds").write_bytes(LINE)
    (tmp_path / "link").symlink_to("seeds")

    assert ["1"] == resumed(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "seeds").read_bytes().startswith(LINE)


def test_overwriting_waits_for_the_beginning(tmp_path: Path) -> None:
    """The old content stays until start_writing."""
    path = tmp_path / "seeds"
    path.write_bytes(LINE)
    with SeedFile.open(str(path), "overwrite") as file:
        file.read_finished_ids(set())
        assert LINE == path.read_bytes()
        file.start_writing()
        assert b"" == path.read_bytes()
    assert path.exists()


@pytest.mark.parametrize("is_complete", [True, False])
def test_a_file_made_in_vain_is_removed(tmp_path: Path, *, is_complete: bool) -> None:
    """A new file that is empty is removed, unless the run is complete."""
    with SeedFile.open(str(tmp_path / "seeds"), "new") as file:
        file.start_writing()
        file.is_complete = is_complete

    assert is_complete == (tmp_path / "seeds").exists()


def test_a_file_that_has_taken_its_place_is_not_removed(tmp_path: Path) -> None:
    """A file of another process under the same name stays."""
    for content in ("theirs", None):
        path = tmp_path / "seeds"
        with SeedFile.open(str(path), "new"):
            path.unlink()
            if content is not None:
                path.write_text(content)
        assert (content is not None) == path.exists()
        path.unlink(missing_ok=True)


@pytest.mark.parametrize("mode", ["resume", "overwrite"])
def test_two_cannot_write_one_file(tmp_path: Path, mode: Mode) -> None:
    """The second writer is refused; the lock ends with the first."""
    path = str(tmp_path / "seeds")
    with SeedFile.open(path, "new") as first:
        first.write_line({"task_id": "1"})
        with pytest.raises(errors.ConfigurationError, match="another process is writing"):
            SeedFile.open(path, mode)
    assert b'{"task_id": "1"}\n' == (tmp_path / "seeds").read_bytes()
    SeedFile.open(path, mode).__exit__()


# --- other systems ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "is_refused"), [(errno.EACCES, True), (None, False), (errno.ENOSYS, False)]
)
def test_on_windows_a_far_byte_is_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int | None, *, is_refused: bool
) -> None:
    """The locked byte is far behind the lines; a system without locks refuses nothing."""
    places: list[int] = []

    def locking(file: int, _kind: int, _length: int) -> None:
        places.append(os.lseek(file, 0, os.SEEK_CUR))
        if number is not None:
            raise OSError(number, "no")

    monkeypatch.setitem(sys.modules, "fcntl", None)
    monkeypatch.setitem(sys.modules, "msvcrt", SimpleNamespace(locking=locking, LK_NBLCK=2))
    if is_refused:
        with pytest.raises(errors.ConfigurationError, match="another process is writing"):
            resumed(tmp_path / "seeds")
    else:
        assert [] == resumed(tmp_path / "seeds")
    assert [2**40] == places


def test_without_any_locks_one_writes_unlocked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A system without any locks refuses nothing."""
    monkeypatch.setitem(sys.modules, "fcntl", None)
    monkeypatch.setitem(sys.modules, "msvcrt", None)

    assert [] == resumed(tmp_path / "seeds")


# --- what goes wrong while writing ------------------------------------------------------------


def test_what_has_no_disk_is_written_to(tmp_path: Path) -> None:
    """A device or a pipe is neither locked nor cut nor synced, and cannot be resumed."""
    for _ in range(2):
        with (
            SeedFile.open("/dev/null", "overwrite") as file,
            SeedFile.open("/dev/null", "overwrite"),
        ):
            file.start_writing()
            file.write_line({"task_id": "1"})
            file.sync()
    with pytest.raises(
        errors.ConfigurationError, match="cannot resume /dev/null: it is not a regular"
    ):
        SeedFile.open("/dev/null", "resume")


def test_a_full_disk_is_told() -> None:
    """A full disk is an OutputError."""
    file = SeedFile.open("/dev/full", "overwrite")
    file.start_writing()

    with pytest.raises(OutputError, match=r"cannot write /dev/full: No space left on device"):
        file.write_line({"task_id": "1"})
    os.close(file.file)


def test_a_write_that_is_cut_off_leaves_whole_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the disk fills up inside of a line, the beginning of that line is cut off."""
    write, room = os.write, [30]

    def write_what_fits(file: int, data: bytes) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        fits = data[: room[0]]
        room[0] -= len(fits)
        return write(file, fits)

    monkeypatch.setattr(os, "write", write_what_fits)
    with SeedFile.open(str(tmp_path / "seeds"), "new") as file:
        file.write_line({"task_id": "1"})
        with pytest.raises(OutputError, match="No space left on device; its lines are kept"):
            file.write_line({"task_id": "2"})
    assert b'{"task_id": "1"}\n' == (tmp_path / "seeds").read_bytes()


def test_what_cannot_be_cut_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that cannot be truncated is an OutputError."""

    def refuse(_file: int, _length: int) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "ftruncate", refuse)
    with (
        SeedFile.open(str(tmp_path / "seeds"), "resume") as file,
        pytest.raises(OutputError, match="Operation not permitted"),
    ):
        file.start_writing()


def test_what_does_not_reach_the_disk_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failed sync is a failed write."""

    def fail(_file: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with (
        pytest.raises(OutputError, match="Input/output error"),
        SeedFile.open(str(tmp_path / "seeds"), "new") as file,
    ):
        file.write_line({"task_id": "1"})
    assert b'{"task_id": "1"}\n' == (tmp_path / "seeds").read_bytes()


# --- lines -------------------------------------------------------------------------------------

FOUND = SeedOutcome("1", ImageSeed("1", "0", "list", Task("1")))
UNKNOWN = SeedOutcome("1", error=errors.TaskNotFoundError(task_id="1"))


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (to_json_line(FOUND.to_dict()).encode(), ("1", True)),
        (to_json_line(UNKNOWN.to_dict()).encode(), ("1", False)),
        (b'{"task_id": "2"}\r\n', ("2", True)),
        (b"", None),
        (b"1\n", None),
        (b'{"task_id": 1}\n', None),
        (b'{"task_id": ""}\n', None),
        (b'{"seed": "1"}\n', None),
        (b'{"task_id": "1", "prompt": "\xe5', None),
        (b"[" * 100_000, None),
    ],
)
def test_a_line_tells_its_id(line: bytes, found: tuple[str, bool] | None) -> None:
    """A line has an id, and a seed or an error; any other line is None."""
    assert found == parse_seed_line(line)
