"""The commands and programs of the how-to page about many machines, as printed there."""

from __future__ import annotations

import configparser
import json
import os
import re
import shlex
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from distributed._redis_server import RedisServer, free_port
from mj_async.cli._app import app

from ._reference_gateway import ReferenceServer, expected_outcome

UNITS = Path(__file__).parents[3] / "examples/systemd"
PAGE = Path(__file__).parents[3] / "docs/howto/machines.md"
IDS = [str(100_000 + number) for number in range(1000)]


def blocks(language: str) -> list[str]:
    """Return the blocks of code in a language."""
    return re.findall(
        rf"^```{language}\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )


@pytest.fixture
def environment(redis_server: RedisServer, tmp_path: Path) -> Iterator[dict[str, str]]:
    """Return the environment of a user, with Redis, a gateway and the command."""
    (tmp_path / "mj-async").write_text(
        f'#!/bin/sh\nexec {sys.executable} -c "from mj_async.cli import main; main()" "$@"\n'
    )
    (tmp_path / "mj-async").chmod(0o755)
    gateway = ReferenceServer(free_port())
    yield {
        **os.environ,
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "MJ_REDIS_URL": redis_server.url,
        "MJ_BASE_URL": gateway.base_url,
        "MJ_API_KEY": "sk-of-the-page",
    }
    gateway.kill()


def test_the_commands(environment: dict[str, str], tmp_path: Path) -> None:
    """All four commands run at the same time, started in any order, and end."""
    (tmp_path / "ids.txt").write_text("\n".join(IDS))
    commands = [line for block in blocks("sh") for line in block.splitlines() if "cluster" in line]
    running = [
        subprocess.Popen(["/bin/sh", "-c", line], cwd=tmp_path, env=environment)
        for line in reversed(commands)
        if "status" not in line
    ]

    assert [1, 0, 0] == [process.wait(60) for process in running]
    watched = subprocess.run(
        ["/bin/sh", "-c", commands[-1]], cwd=tmp_path, env=environment, check=False, timeout=60
    )
    assert 1 == watched.returncode
    lines = "".join(path.read_text() for path in sorted((tmp_path / "seeds").iterdir()))
    found = [json.loads(line) for line in lines.splitlines()]
    assert [(one, expected_outcome(one)[0]) for one in IDS] == [
        (one["task_id"], one["seed"]) for one in found
    ]
    assert set(json.loads(blocks("json")[0])) == set(found[0])


def test_the_program(environment: dict[str, str], tmp_path: Path) -> None:
    """The program submits, looks up and collects in one process."""
    ended = subprocess.run(
        [sys.executable, "-c", blocks("python")[0]],
        cwd=tmp_path,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert (0, 1001) == (ended.returncode, len(ended.stdout.splitlines())), ended.stderr
    assert "done=1000" in ended.stdout.splitlines()[-1]


@pytest.mark.parametrize("unit", sorted(UNITS.glob("*.service")), ids=lambda unit: unit.stem)
def test_the_units(unit: Path) -> None:
    """The command of each unit is valid."""
    found = configparser.ConfigParser(strict=False, interpolation=None)
    found.read(unit)
    _, *arguments = shlex.split(found["Service"]["ExecStart"].replace("%i", "nightly"))

    command, bound, _ = app.parse_args(arguments, exit_on_error=False)

    assert unit.stem == f"mj-async-{command.__name__}@"
    assert "nightly" == bound.args[0]


def test_the_page_of_the_queue(environment: dict[str, str], tmp_path: Path) -> None:
    """The web page of streaq shows the chunks of a job."""
    (tmp_path / "nightly_queue.py").write_text(blocks("python")[1])
    submit = ["mj-async", "cluster", "submit", "nightly", *IDS[:10]]
    subprocess.run(submit, env=environment, check=True, timeout=60)
    port = free_port()
    command = ["-m", "streaq", "web", "--host", "127.0.0.1", "--port", str(port)]
    page = subprocess.Popen(
        [sys.executable, *command, "nightly_queue:worker"], cwd=tmp_path, env=environment
    )
    try:
        assert "look_up" in read_when_there(f"http://127.0.0.1:{port}/queue")
    finally:
        page.kill()
        page.wait()


def read_when_there(url: str) -> str:
    """Return a page as soon as it is served."""
    give_up = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310
                text: str = answer.read().decode()
        except OSError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.05)
        else:
            return text
