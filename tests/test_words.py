"""The laws of CONTRIBUTING.md that a text can break: its words, and the length of its files."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXTS = {".py", ".md", ".js", ".j2", ".css", ".lua", ".service"}
# Readers of English as a second language stumble over these; the sentence has a better subject.
AVOIDED = re.compile(r"\b(whoever|somebody|nobody|lest|is told of)\b", re.IGNORECASE)
# A docstring says what the caller gets: Return, Raise, Wait, Send, Read, Build, Close, …
AVOIDED_VERBS = re.compile(r"(Give|Tell|Take|Say|Let)s?\b")


def files_in(*names: str) -> list[Path]:
    """Return the texts among these files and in these folders."""
    found = [path for name in names for path in ((ROOT / name), *(ROOT / name).rglob("*"))]
    return sorted(path for path in found if path.is_file() and path.suffix in TEXTS)


def docstrings_in(path: Path) -> Iterator[tuple[int, str]]:
    """Find the docstrings of a file, each with its line."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        text = ast.get_docstring(node) if isinstance(node, documented) else None
        if text is not None:
            yield getattr(node, "lineno", 1), text


def test_the_words_are_plain() -> None:
    """No page, comment or docstring has a word that is avoided."""
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in files_in("src", "docs", "examples", "README.md", "CONTRIBUTING.md")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if AVOIDED.search(line)
    ]

    assert not found, "\n".join(["", *found])


def test_docstrings_begin_with_a_plain_verb() -> None:
    """No docstring begins with Give, Tell, Take, Say or Let."""
    found = [
        f"{path.relative_to(ROOT)}:{line}: {text.splitlines()[0]}"
        for path in files_in("src")
        if path.suffix == ".py"
        for line, text in docstrings_in(path)
        if AVOIDED_VERBS.match(text)
    ]

    assert not found, "\n".join(["", *found])


@pytest.mark.parametrize("folder", ["src", "examples"])
def test_files_are_short(folder: str) -> None:
    """A file has fewer than 400 lines."""
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in files_in(folder)
        if path.suffix == ".py"
    }

    assert {} == {name: length for name, length in lengths.items() if length >= 400}
