"""`mj-async --install-completion`: complete commands and options in a shell."""

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
    "bash": "in new shells, and in this one after: source ~/.bashrc",
    "zsh": "in new shells, if ~/.zshrc runs compinit",
    "fish": "in new shells",
}


def detect_shell(name: str | None) -> Shell:
    """PURE: return the shell of a path such as `/bin/bash`.

    Raises:
        ConfigurationError: There is no completion for that shell.
    """
    base = Path(name or "").name
    for shell in _SHELLS:
        if base == shell:
            return shell
    raise errors.ConfigurationError("the shell is unknown; next: give --shell bash, zsh or fish")


class Completion:
    """The option `--install-completion` of an app."""

    def __init__(self, app: App) -> None:
        self._app = app

    def install(self, *, shell: Shell | None = None, show: bool = False) -> NoReturn:
        """Install what lets the shell complete commands and options.

        This writes a script to the place where the shell looks for it. For bash and zsh it also
        adds a line to ~/.bashrc or ~/.zshrc, once.

        Args:
            shell: The shell; by default the one in SHELL.
            show: Print the script, and write nothing.
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
                " next: print the script with --show, and put it where your shell looks for it"
            ) from None
        Terminal().print_line(f"wrote {place}; it works {_ACTIVATION[shell]}")
        return DONE
