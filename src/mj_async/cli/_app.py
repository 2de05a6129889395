"""The commands, and what is said where a command line is none."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from io import TextIOWrapper

from cyclopts import App, CycloptsError, Parameter
from rich.console import Console

from ._cluster import cluster
from ._completion import Completion
from ._demo import Demo
from ._exit import PARTLY, USAGE, run
from ._gallery import gallery
from ._gateway import gateway
from ._interrupt import run_async
from ._list import list_
from ._one import fetch, seed
from ._probe import probe
from ._seeds import seeds
from ._terminal import ELSEWHERE, mute, say
from ._version import versions
from ._wait import wait

app = App(
    name="mj-async",
    help="Ask Midjourney-proxy gateways about tasks and seeds.",
    version=versions,
    version_format="plaintext",
    default_parameter=Parameter(negative=()),
)
app.command(gallery)
app.command(fetch)
app.command(list_, name="list")
app.command(seed)
app.command(wait)
app.command(seeds)
app.command(probe)
app.command(gateway)
app.command(cluster)
app.command(Completion(app).install, name="--install-completion")


@app.command
def demo() -> None:
    """Show the main job on a gateway of our own, on loopback: fetch, list, wait, seeds."""
    run(lambda: run_async(Demo(Console(highlight=False)).run))


def start(arguments: Sequence[str]) -> None:
    """Run a command line, and end the process with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # not None, as where the shell has closed it
            # What the terminal has no characters for must not end a run.
            stream.reconfigure(errors="backslashreplace")
    try:
        app(arguments, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        say(f"{without_values(str(error), arguments)} See mj-async --help.")
        sys.exit(USAGE)
    except OSError as error:  # of what is printed by itself, as --help and the demo are
        mute(sys.stdout)
        say(f"cannot write to standard output: {error.strerror}; {ELSEWHERE}")
        sys.exit(PARTLY)


def without_values(message: str, arguments: Sequence[str]) -> str:
    """PURE: leave the values of options out of a complaint: somebody may have given a key."""
    for argument in arguments:
        name, equals, _ = argument.partition("=")
        message = message.replace(argument, name) if equals and name.startswith("-") else message
    return message
