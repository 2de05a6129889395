"""The commands. An interrupt ends each with 130, which cyclopts sees to."""

from __future__ import annotations

import anyio
from cyclopts import App
from rich.console import Console

import mj_async

from ._demo import Demo
from ._gallery import gallery

app = App(
    name="mj-async",
    help="Ask Midjourney-proxy gateways about tasks and seeds.",
    version=lambda: mj_async.__version__,
)
app.command(gallery)


@app.command
def demo() -> None:
    """Show the main job on a gateway of our own, on loopback: fetch, list, wait, seeds."""
    anyio.run(Demo(Console(highlight=False)).run)
