"""`mj-async gallery`: what is read, what is refused, and what is written."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mj_async.cli.commands._gallery import gallery

LINE: dict[str, Any] = {
    "task_id": "1730621826053455",
    "seed": "1387462901",
    "source": "list",
    "status": "SUCCESS",
    "prompt": "a lighthouse at dusk",
    "image_url": "https://cdn.example/1.png",
    "error": None,
}
UNKNOWN: dict[str, Any] = {
    **dict.fromkeys(LINE),
    "task_id": "2",
    "error": {"type": "TaskNotFoundError", "message": "no such task"},
}


def write(path: Path, lines: Iterable[dict[str, Any]], end: str = "") -> Path:
    """Write lines as `mj-async seeds` does, and then `end`."""
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines) + end, encoding="utf-8")
    return path


@pytest.fixture
def seeds(tmp_path: Path) -> Path:
    """Write a file with two tasks, one of which is unknown."""
    return write(tmp_path / "seeds.jsonl", [LINE, UNKNOWN])


def refused(file: Path, output: Path, *, overwrite: bool = False) -> Any:
    """Return the exit code of a command that fails."""
    with pytest.raises(SystemExit) as ended:
        gallery(file, output=output, overwrite=overwrite)
    return ended.value.code


def left(directory: Path) -> list[str]:
    """Return the names of the files."""
    return sorted(path.name for path in directory.iterdir())


def test_it_says_what_it_wrote(seeds: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The numbers of images and rows and the size are on stderr; no temporary file is left."""
    output = seeds.with_name("gallery.html")
    gallery(seeds, output=output)
    size = f"{output.stat().st_size / 1000:.0f} kB"

    assert ("", f"{output}: 1 image, 2 rows, {size}\n") == capsys.readouterr()
    assert ["gallery.html", "seeds.jsonl"] == left(seeds.parent)


def test_it_is_a_command_of_its_own(seeds: Path) -> None:
    """By default it writes `gallery.html` into the current directory, and exits with 0."""
    ended = subprocess.run(
        [sys.executable, "-c", "from mj_async.cli import main; main()", "gallery", seeds.name],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=seeds.parent,
        env={**os.environ, "PYTHONWARNINGS": "error"},
    )

    assert (0, "") == (ended.returncode, ended.stdout)
    assert ended.stderr.startswith("gallery.html: 1 image, 2 rows, ")
    assert ["gallery.html", "seeds.jsonl"] == left(seeds.parent)


def test_a_page_of_megabytes_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The size of a large page is in MB."""
    long = {**LINE, "prompt": "x" * 1_500_000}
    gallery(write(tmp_path / "seeds.jsonl", [long]), output=tmp_path / "gallery.html")

    assert "1 image, 1 row, 1.5 MB" in capsys.readouterr().err


def test_a_page_that_exists_is_not_touched(seeds: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without `--overwrite` the page stays as it is, and the message names the option."""
    output = seeds.with_name("gallery.html")
    output.write_text("mine", encoding="utf-8")

    assert 2 == refused(seeds, output)
    assert "mine" == output.read_text(encoding="utf-8")
    assert f"{output} exists; next: give --overwrite to replace it\n" == capsys.readouterr().err


def test_a_page_is_replaced_when_that_is_asked_for(seeds: Path) -> None:
    """With `--overwrite` the new page takes the place of the old one."""
    output = seeds.with_name("gallery.html")
    output.write_text("old", encoding="utf-8")
    gallery(seeds, output=output, overwrite=True)

    assert output.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_a_link_stays_a_link(seeds: Path) -> None:
    """If the output is a symbolic link, its target is replaced."""
    page, link = seeds.with_name("real.html"), seeds.with_name("gallery.html")
    link.symlink_to(page)
    gallery(seeds, output=link)

    assert link.is_symlink()
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir], ids=["a pipe", "a directory"])
def test_what_is_no_file_is_never_replaced(
    seeds: Path, make: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """A pipe, a device or a directory is refused, with `--overwrite` too."""
    output = seeds.with_name("gallery.html")
    make(output)

    assert 2 == refused(seeds, output, overwrite=True)
    assert f"{output} is not a file; next: give another --output\n" == capsys.readouterr().err
    assert not output.is_file()


def test_the_file_that_is_read_is_never_replaced(
    seeds: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--overwrite` does not destroy the seeds."""
    before = seeds.read_bytes()

    assert 2 == refused(seeds, seeds, overwrite=True)
    assert before == seeds.read_bytes()
    assert f"{seeds} is the input; next: give another --output\n" == capsys.readouterr().err


def test_a_file_that_is_not_there_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that cannot be read is exit 2, and an existing page stays."""
    output = tmp_path / "gallery.html"
    output.write_text("mine", encoding="utf-8")

    assert 2 == refused(tmp_path / "none", output, overwrite=True)
    assert 2 == refused(tmp_path / "none", output)
    assert "mine" == output.read_text(encoding="utf-8")
    assert 2 == capsys.readouterr().err.count("none cannot be read: No such file or directory")


def test_a_bad_line_is_told_with_its_number(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line that is not JSON is exit 2, and nothing is written."""
    file = tmp_path / "seeds.jsonl"
    file.write_bytes(json.dumps(LINE).encode() + b"\n\n")

    assert 2 == refused(file, tmp_path / "gallery.html")
    assert ["seeds.jsonl"] == left(tmp_path)
    expected = f"{file}, line 2 is not a line of `mj-async seeds`: it is not JSON; next: "
    assert capsys.readouterr().err.startswith(expected)


@pytest.mark.parametrize(
    "torn", ["{", '{"task_id": "3", "seed": "1', '{"task_id": "3", "prompt": "dr\udcc3']
)
def test_a_torn_last_line_is_left_out(
    tmp_path: Path, torn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A truncated last line is left out with a message, also if it ends inside of a character."""
    file = write(tmp_path / "seeds.jsonl", [LINE, UNKNOWN])
    with file.open("ab") as lines:
        lines.write(os.fsencode(torn))
    gallery(file, output=tmp_path / "gallery.html")
    noted, said = capsys.readouterr().err.splitlines()

    assert f"{file}, line 3 is incomplete and was left out" == noted
    assert "2 rows" in said


def test_a_whole_last_line_needs_no_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A last line that is complete counts without its line end."""
    file = write(tmp_path / "seeds.jsonl", [LINE], end=json.dumps(UNKNOWN))
    gallery(file, output=tmp_path / "gallery.html")

    assert "2 rows" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["hello", "[]", "3"])
def test_another_file_is_not_taken_for_a_torn_one(tmp_path: Path, text: str) -> None:
    """A last line that is not the beginning of a line of seeds is refused."""
    assert 2 == refused(write(tmp_path / "notes", [], end=text), tmp_path / "gallery.html")


def test_an_empty_file_gives_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The page of an empty file says that it has no tasks."""
    output = tmp_path / "gallery.html"
    gallery(write(tmp_path / "seeds.jsonl", []), output=output)

    assert "There are no tasks in this file." in output.read_text(encoding="utf-8")
    assert "0 images, 0 rows" in capsys.readouterr().err


def test_a_name_that_is_no_text_does_no_harm(tmp_path: Path) -> None:
    """A file name that is not UTF-8 is readable text in the page."""
    file = write(tmp_path / os.fsdecode(b"<seeds>\xff"), [LINE])
    output = tmp_path / "gallery.html"
    gallery(file, output=output)

    assert '<h1 dir="auto">&lt;seeds&gt;\ufffd</h1>' in output.read_text(encoding="utf-8")


def test_where_nothing_can_be_written_it_says_so(
    seeds: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A missing directory is exit 1."""
    output = seeds.parent / "none" / "gallery.html"

    assert 1 == refused(seeds, output)
    reason = "No such file or directory; next: give another --output"
    assert f"{output} was not written: {reason}\n" == capsys.readouterr().err


@pytest.fixture
def few_bytes() -> Iterator[None]:
    """Limit the files of this process to 9 kB."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (9000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("few_bytes")
def test_a_write_that_fails_leaves_what_was_there(
    seeds: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """If writing fails, the exit code is 1, the old page stays, and no temporary file is left."""
    output = seeds.with_name("gallery.html")
    output.write_text("old", encoding="utf-8")

    assert 1 == refused(seeds, output, overwrite=True)
    reason = "File too large; next: give another --output"
    assert f"{output} was not written: {reason}\n" == capsys.readouterr().err
    assert "old" == output.read_text(encoding="utf-8")
    assert ["gallery.html", "seeds.jsonl"] == left(seeds.parent)
