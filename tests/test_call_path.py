"""The way of one call through the package is short."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "call_path.py"


def test_the_way_of_a_call_is_short() -> None:
    """One fetch and one wait of a poller stay within their rooms, functions and depth."""
    ended = subprocess.run(
        [sys.executable, "-W", "error", str(SCRIPT), "--check"],
        check=False,
        capture_output=True,
        text=True,
    )

    assert (0, "") == (ended.returncode, ended.stderr), ended.stdout
