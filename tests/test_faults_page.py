"""The docs' table of faults names tests that exist, for each number of the survey."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs" / "faults.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("number", range(1, 47))
def test_a_fault_is_held_by_the_tests_that_the_page_names(number: int) -> None:
    """Each of the 46 faults has a row, and each test in it exists."""
    row = re.search(rf"^\| {number} \|.*$", PAGE, re.MULTILINE)
    assert row is not None

    named = re.findall(rf"`(\w+\.py)::(test_fault_{number:02}_\w+)`", row[0])
    assert named
    for file, test in named:
        source = (TESTS / "faults" / file).read_text(encoding="utf-8")
        assert f"def {test}(" in source
