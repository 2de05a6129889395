"""A redis-server that a test starts and kills."""

from __future__ import annotations

import socket
import subprocess
import time
from pathlib import Path

_START_TIMEOUT = 20.0


def free_port() -> int:
    """Return a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


class RedisServer:
    """A redis-server with its own data.

    Args:
        folder: The folder of its append-only file.
        options: Further options of its command line.
    """

    def __init__(self, folder: Path, *options: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._command = ["redis-server", "--port", str(self.port), "--dir", str(folder)]
        self._command += ["--bind", "127.0.0.1", "--save", "", "--appendonly", "yes"]
        # It writes each command to disk, so that a kill loses nothing that a test has seen.
        self._command += ["--appendfsync", "always", *options]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it accepts connections."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        give_up = time.monotonic() + _START_TIMEOUT
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                if time.monotonic() > give_up or self._process.poll() is not None:
                    raise
                time.sleep(0.01)
            else:
                return

    def ask(self, *command: str) -> list[str]:
        """Send one command, and return the lines of the response."""
        ended = subprocess.run(
            ["redis-cli", "-p", str(self.port), *command],  # noqa: S607
            check=True,
            capture_output=True,
            text=True,
        )
        return ended.stdout.splitlines()

    def kill(self) -> None:
        """Kill it with SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
