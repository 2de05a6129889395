"""`mj-async cluster` as a user runs it: each command in its own process."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from cli._commands import COMMAND, Ended

# Without coverage: a killed process cannot write its data.
UNMEASURED = {"COVERAGE_PROCESS_START": "", "COVERAGE_PROCESS_CONFIG": ""}


class ClusterCommands:
    """The commands of one job.

    Args:
        name: The name of the job.
        redis_url: The address of Redis.
        base_url: The address of the gateway.
        folder: The folder of their output.
        api_key: The key of the gateway.
    """

    def __init__(
        self,
        name: str,
        redis_url: str,
        base_url: str,
        folder: Path,
        api_key: str = "sk-reference-key",
    ) -> None:
        self.name = name
        self.folder = folder
        self.output = folder / f"output-{name}"
        self._started = 0
        self._environment = {
            **os.environ,
            **UNMEASURED,
            # coredis does not close the streams of a lost connection.
            "PYTHONWARNINGS": "error,ignore::ResourceWarning",
            "MJ_REDIS_URL": redis_url,
            "MJ_BASE_URL": base_url,
            "MJ_API_KEY": api_key,
        }

    def start(
        self, command: str, *arguments: str, stdin: int | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a command, with its output in a file."""
        self._started += 1
        path = self.folder / f"{self.name}-{self._started:02}-{command}.txt"
        with path.open("wb") as output:
            return subprocess.Popen(
                [*COMMAND, "cluster", command, self.name, *arguments],
                env=self._environment,
                stdin=stdin,
                stdout=output,
                stderr=output,
            )

    def submit(self, ids: Path, *options: str) -> subprocess.Popen[bytes]:
        """Start `submit` with a file of ids."""
        return self.start("submit", "--from", str(ids), *options)

    def work(self, *options: str) -> subprocess.Popen[bytes]:
        """Start a worker."""
        return self.start("work", *options)

    def collect(self) -> subprocess.Popen[bytes]:
        """Start `collect`."""
        return self.start("collect", str(self.output))

    def run(self, command: str, *arguments: str, **environment: str) -> Ended:
        """Run a command until it ends."""
        ended = subprocess.run(
            [*COMMAND, "cluster", command, *arguments],
            check=False,
            env={**self._environment, **environment},
            capture_output=True,
            text=True,
            timeout=60,
        )
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    def progress(self) -> dict[str, Any]:
        """Return the progress of the job."""
        found: dict[str, Any] = self.run("status", self.name, "--json").lines[0]
        return found

    def lines(self) -> list[dict[str, Any]]:
        """Return the collected lines."""
        parts = sorted(self.output.glob("*.jsonl"))
        return [json.loads(line) for part in parts for line in part.read_text("utf-8").splitlines()]

    def output_text(self) -> str:
        """Return the output of all commands, for the message of a failed test."""
        return "\n".join(
            f"--- {path.name}\n{path.read_text('utf-8')[-2000:]}"
            for path in sorted(self.folder.glob(f"{self.name}-*.txt"))
        )
