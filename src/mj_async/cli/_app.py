"""The commands, and the exit codes that they share."""

from __future__ import annotations

import sys

import anyio
from cyclopts import App
from rich.console import Console

import mj_async

from ._demo import Demo

INTERRUPTED = 130

app = App(
    name="mj-async",
    help="Ask Midjourney-proxy gateways about tasks and seeds.",
    version=lambda: mj_async.__version__,
)


@app.command
def demo() -> None:
    """Show the main job on a gateway of our own, on loopback: fetch, list, wait, seeds."""
    anyio.run(Demo(Console(highlight=False)).run)


def run() -> None:
    """Run the command that the arguments name."""
    try:
        app()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)
