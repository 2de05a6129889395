"""`mj-async --install-completion`: scripts for shells, and where they go."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ._commands import Ended

Call = Callable[..., Ended]

PLACES = {
    "bash": ".local/share/bash-completion/completions/mj-async",
    "zsh": ".zsh/completions/_cyclopts_mj-async",
    "fish": ".config/fish/completions/mj-async.fish",
}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Use an empty home directory, and an unknown shell."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("SHELL", "ZSH", "ZSH_CUSTOM"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.mark.parametrize("shell", PLACES)
def test_it_is_installed_once(call: Call, home: Path, shell: str) -> None:
    """The script is where the shell looks for it, and a second installation changes nothing."""
    ended = call("--install-completion", "--shell", shell)
    files = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    call("--install-completion", "--shell", shell)

    assert (0, "") == (ended.code, ended.err)
    assert ended.out.startswith(f"wrote {home / PLACES[shell]}; it works in new shells")
    assert b"--api-key-file" in files[home / PLACES[shell]]
    assert files == {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}


def test_the_shell_is_found(call: Call, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SHELL names the shell, and --show writes no file."""
    monkeypatch.setenv("SHELL", "/usr/bin/fish")
    ended = call("--install-completion", "--show")

    assert (0, "") == (ended.code, ended.err)
    assert "complete -c mj-async" in ended.out
    assert [] == list(home.iterdir())


@pytest.mark.parametrize("shell", [None, "/bin/tcsh"])
def test_another_shell_ends_with_2(
    call: Call, monkeypatch: pytest.MonkeyPatch, shell: str | None
) -> None:
    """The message says which shells there are."""
    if shell is not None:
        monkeypatch.setenv("SHELL", shell)
    ended = call("--install-completion")

    said = "mj-async: the shell is unknown; next: give --shell bash, zsh or fish\n"
    assert Ended(2, "", said) == ended


def test_where_nothing_can_be_written_it_ends_with_1(call: Call, home: Path) -> None:
    """The message recommends --show."""
    (home / ".local").write_text("a file is in the way")
    ended = call("--install-completion", "--shell", "bash")

    assert (1, "", 1) == (ended.code, ended.out, ended.err.count("\n"))
    assert "; next: print the script with --show" in ended.err


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("mj-async pro", "probe"),
        ("mj-async fetch --auth b", "bearer"),
        ("mj-async seeds --res", "--resume"),
    ],
)
def test_bash_completes(call: Call, home: Path, words: str, completed: str) -> None:
    """A shell completes commands, options and their values."""
    call("--install-completion", "--shell", "bash")
    count = len(words.split()) - 1
    script = f'. ~/.bashrc; COMP_WORDS=({words}); COMP_CWORD={count}; _mj_async; echo "$COMPREPLY"'
    ended = subprocess.run(
        ["bash", "--norc", "-c", script],  # noqa: S607
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "HOME": str(home)},
    )

    assert f"{completed}\n" == ended.stdout
