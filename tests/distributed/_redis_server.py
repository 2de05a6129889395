"""Debian's redis-server, started and killed as the tests like."""

from __future__ import annotations

import socket
import subprocess
import time
from pathlib import Path

_PATIENCE = 20.0


def free_port() -> int:
    """Give a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


class RedisServer:
    """A redis-server with its data in a folder of its own.

    Args:
        folder: Where its append-only file lies.
        options: Further ones of its command line.
    """

    def __init__(self, folder: Path, *options: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._command = ["redis-server", "--port", str(self.port), "--dir", str(folder)]
        self._command += ["--bind", "127.0.0.1", "--save", "", "--appendonly", "yes"]
        # Written at once: what a test has seen is there after a kill.
        self._command += ["--appendfsync", "always", *options]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        give_up = time.monotonic() + _PATIENCE
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
        """Send it one command, and give the lines of its answer."""
        told = subprocess.run(
            ["redis-cli", "-p", str(self.port), *command],  # noqa: S607
            check=True,
            capture_output=True,
            text=True,
        )
        return told.stdout.splitlines()

    def kill(self) -> None:
        """Kill it, as kill -9 does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
