"""The table of commands, and the errors of a command line that cannot be parsed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from io import TextIOWrapper

from cyclopts import App, CycloptsError, Parameter

from ._version import versions
from .commands._completion import Completion
from .output._exit_codes import INCOMPLETE, USAGE_ERROR
from .output._terminal import OUTPUT_HINT, discard_output, echo_err

app = App(
    name="mj-async",
    help="Fetch tasks and image seeds from Midjourney-proxy gateways.",
    version=versions,
    version_format="plaintext",
    default_parameter=Parameter(negative=()),
)
# By name, so that only the module of the command in use is imported.
app.command("mj_async.cli.commands._gallery:gallery")
app.command("mj_async.cli.commands._fetch:fetch")
app.command("mj_async.cli.commands._list:list_", name="list")
app.command("mj_async.cli.commands._seed:seed")
app.command("mj_async.cli.commands._wait:wait")
app.command("mj_async.cli.commands._seeds:seeds")
app.command("mj_async.cli.commands._probe:probe")
app.command("mj_async.cli.commands._gateway:gateway")
app.command("mj_async.cli.commands._cluster:cluster")
app.command("mj_async.cli.commands._demo:demo")
app.command(Completion(app).install, name="--install-completion")


def run_command_line(arguments: Sequence[str]) -> None:
    """Run a command line, and exit with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # not None, as it is if the shell has closed it
            # A terminal without a character for it must not end a run.
            stream.reconfigure(errors="backslashreplace")
    if not arguments or arguments[0].startswith("-"):
        app.resolved_commands()  # for --help and --install-completion
    try:
        app(arguments, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        echo_err(f"{redact_option_values(str(error), arguments)} See mj-async --help.")
        sys.exit(USAGE_ERROR)
    except OSError as error:  # from --help and the demo, which print themselves
        discard_output(sys.stdout)
        echo_err(f"cannot write to standard output: {error.strerror}; {OUTPUT_HINT}")
        sys.exit(INCOMPLETE)


def redact_option_values(message: str, arguments: Sequence[str]) -> str:
    """PURE: return the message without the values of options: one of them may be a key."""
    for argument in arguments:
        name, equals, _ = argument.partition("=")
        message = message.replace(argument, name) if equals and name.startswith("-") else message
    return message
