"""`mj-async --install-completion`: what lets a shell complete commands and options."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal, NoReturn, TypeAlias

from cyclopts import App

from mj_async import errors

from ..output._exit_codes import DONE
from ..output._run import run_and_exit
from ..output._terminal import OutputError, Terminal

Shell: TypeAlias = Literal["bash", "zsh", "fish"]

_SHELLS: tuple[Shell, ...] = ("bash", "zsh", "fish")
_ACTIVATION = {
    "bash": "from the next shell on, or at once: source ~/.bashrc",
    "zsh": "from the next shell on, if ~/.zshrc runs compinit",
    "fish": "from the next shell on",
}


def detect_shell(name: str | None) -> Shell:
    """PURE: give the shell of a path such as `/bin/bash`.

    Raises:
        ConfigurationError: It is none that can be completed in.
    """
    base = Path(name or "").name
    for shell in _SHELLS:
        if base == shell:
            return shell
    raise errors.ConfigurationError("cannot tell which shell this is: give --shell bash|zsh|fish")


class Completion:
    """The command, for an app.

    Args:
        app: Knows its commands and options.
    """

    def __init__(self, app: App) -> None:
        self._app = app

    def install(self, *, shell: Shell | None = None, show: bool = False) -> NoReturn:
        """Let the shell complete commands and options.

        It writes a script where the shell looks for it, and for bash and zsh once a line into
        ~/.bashrc or ~/.zshrc.

        Args:
            shell: Which shell; else the one that SHELL names.
            show: Print the script instead, and write nothing.
        """
        work = self._show if show else self._install
        run_and_exit(lambda: work(shell or detect_shell(os.environ.get("SHELL"))))

    def _show(self, shell: Shell) -> int:
        terminal = Terminal()
        for line in self._app.generate_completion(shell=shell).splitlines():
            terminal.print_line(line)
        return DONE

    def _install(self, shell: Shell) -> int:
        try:
            place = self._app.install_completion(shell=shell)
        except OSError as error:
            raise OutputError(
                f"cannot write {error.filename}: {error.strerror};"
                " next: take the script from --show, and put it where your shell looks for it"
            ) from None
        Terminal().print_line(f"{place} is written, and works {_ACTIVATION[shell]}")
        return DONE
