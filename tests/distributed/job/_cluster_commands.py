"""`mj-async cluster`, as its user runs it: each command in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from cli._commands import COMMAND, Ended

# Without the notes of coverage, which a killed process cannot write anyhow.
UNMEASURED = {"COVERAGE_PROCESS_START": "", "COVERAGE_PROCESS_CONFIG": ""}


class ClusterCommands:
    """The commands of one job.

    Args:
        name: The job's.
        redis_url: Where its machines meet.
        base_url: The gateway's address.
        folder: Where they write what they say.
        api_key: The gateway's.
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
            # A connection that Redis has cut leaves streams behind that the client does not close.
            "PYTHONWARNINGS": "error,ignore::ResourceWarning",
            "MJ_REDIS_URL": redis_url,
            "MJ_BASE_URL": base_url,
            "MJ_API_KEY": api_key,
        }

    def start(
        self, command: str, *arguments: str, stdin: int | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a command; what it says goes into a file."""
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
        """Start to submit a file of ids."""
        return self.start("submit", "--from", str(ids), *options)

    def work(self, *options: str) -> subprocess.Popen[bytes]:
        """Start a worker."""
        return self.start("work", *options)

    def collect(self) -> subprocess.Popen[bytes]:
        """Start to collect."""
        return self.start("collect", str(self.output))

    def run(self, command: str, *arguments: str, **environment: str) -> Ended:
        """Run a command to its end."""
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
        """Ask how the job stands."""
        found: dict[str, Any] = self.run("status", self.name, "--json").lines[0]
        return found

    def lines(self) -> list[dict[str, Any]]:
        """Read what was collected."""
        parts = sorted(self.output.glob("*.jsonl"))
        return [json.loads(line) for part in parts for line in part.read_text("utf-8").splitlines()]

    def output_text(self) -> str:
        """Give all that the commands have said, for a failed test."""
        return "\n".join(
            f"--- {path.name}\n{path.read_text('utf-8')[-2000:]}"
            for path in sorted(self.folder.glob(f"{self.name}-*.txt"))
        )
