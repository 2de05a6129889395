"""The page "Test your bot": its examples together are one file of tests."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "testing.md"
TEXT = PAGE.read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
# These run on two event loops, or in five dialects.
OFTEN = {"test_on_both_loops": 2, "test_every_gateway_gives_a_picture": 5}


def test_its_examples_pass(pytester: pytest.Pytester) -> None:
    """All tests of the page pass together, with warnings as errors."""
    names = re.findall(r"^(?:async )?def (test_\w+)", "\n".join(BLOCKS), re.MULTILINE)
    pytester.makepyfile(test_bot="\n".join(BLOCKS))

    ended = pytester.runpytest_subprocess(
        "-W",
        "error",
        "-o",
        "asyncio_mode=strict",
        "-o",
        "asyncio_default_fixture_loop_scope=function",
    )

    ended.assert_outcomes(passed=sum(OFTEN.get(name, 1) for name in names))
    assert set(OFTEN) <= set(names)


def test_it_needs_no_sleep() -> None:
    """No example sleeps."""
    assert "sleep(" not in "\n".join(BLOCKS)
