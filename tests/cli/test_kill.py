"""`mj-async seeds`, killed and cut off at random points and resumed each time.

Three kills unless `MJ_KILLS` says otherwise: MJ_KILLS=20 python -m pytest tests/cli/test_kill.py
"""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import DEVNULL, Popen

import pytest

from mj_async.testing import FakeGateway

from ._commands import DONE, start

KILLS = int(os.environ.get("MJ_KILLS", "3"))
COUNT = 240
PROMPT = "小猪 🐖 “--v 6.1”"
# Without the notes of coverage, which a killed process cannot write anyhow.
UNMEASURED = {"COVERAGE_PROCESS_START": "", "COVERAGE_PROCESS_CONFIG": ""}


@pytest.fixture
def ids(tmp_path: Path, serve: Callable[[FakeGateway], str]) -> Path:
    """Serve some hundred tasks, all of which have ended, and write their ids, some twice."""
    gateway = FakeGateway("newapi")
    timelines = {7: [(0, "FAILURE", "")], 8: [(0, "CANCEL", "")]}
    ids = [f"17306218{number:08}" for number in range(COUNT)]
    for number, task_id in enumerate(ids):
        if number % 10 != 9:  # the last of ten is unknown
            seed = None if number % 10 == 6 else str(number)
            timeline = timelines.get(number % 10, DONE)
            gateway.add_task(task_id, timeline, seed=seed, prompt=PROMPT)
    serve(gateway)
    (tmp_path / "ids").write_text("\n".join([*ids, *ids[::3]]))
    return tmp_path / "ids"


def begin(ids: Path, output: Path) -> Popen[str]:
    """Start the command with --resume."""
    arguments = ["--from", str(ids), "--output", str(output), "--resume"]
    return start("seeds", *arguments, stderr=DEVNULL, environment=UNMEASURED)


def lines_of(output: Path) -> list[dict[str, object]]:
    """Read the lines, sorted, without `source`, which may differ after a kill."""
    lines = [json.loads(line) for line in output.read_text("utf-8").splitlines()]
    kept = [{key: value for key, value in line.items() if key != "source"} for line in lines]
    return sorted(kept, key=lambda line: str(line["task_id"]))


def undisturbed(ids: Path, tmp_path: Path) -> list[dict[str, object]]:
    """Return the lines of an undisturbed run."""
    assert 1 == begin(ids, tmp_path / "undisturbed").wait(60)

    lines = lines_of(tmp_path / "undisturbed")
    assert COUNT == len({line["task_id"] for line in lines}) == len(lines)
    return lines


def kill_at(process: Popen[str], output: Path, size: int) -> None:
    """Kill the command when its output has that many bytes, unless it ends before."""
    while process.poll() is None and (not output.exists() or output.stat().st_size < size):
        time.sleep(0.001)
    process.kill()
    process.wait()


def test_a_killed_run_loses_nothing(ids: Path, tmp_path: Path) -> None:
    """After kill -9 at random points each id has one line, as after an undisturbed run."""
    expected, output = undisturbed(ids, tmp_path), tmp_path / "seeds"
    whole = (tmp_path / "undisturbed").stat().st_size
    dice = random.Random()
    for size in sorted(dice.uniform(0, whole) for _ in range(KILLS)):
        process = begin(ids, output)
        if dice.random() < 0.2:  # some are killed before they have begun
            time.sleep(dice.uniform(0, 0.5))
            process.kill()
            process.wait()
        else:
            kill_at(process, output, int(size))
    assert 1 == begin(ids, output).wait(60)

    assert expected == lines_of(output)


def test_a_torn_run_loses_nothing(ids: Path, tmp_path: Path) -> None:
    """The same after a loss of power that has cut the file inside of a character.

    Resuming a complete file ends like the undisturbed run.
    """
    expected, output = undisturbed(ids, tmp_path), tmp_path / "seeds"
    dice = random.Random()
    content = (tmp_path / "undisturbed").read_bytes()
    first_bytes = [at for at, byte in enumerate(content) if byte >= 0xE0]
    for _ in range(KILLS):
        output.write_bytes(content[: dice.choice(first_bytes) + 1])
        assert 1 == begin(ids, output).wait(60)
        assert expected == lines_of(output)
    assert 1 == begin(ids, output).wait(60)
