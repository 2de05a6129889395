"""What `list` and `wait` print: a row for each id, progress, totals; and their exit code."""

from __future__ import annotations

from datetime import UTC, datetime

import attrs
from rich.text import Text

from mj_async import Task, errors

from ..files._ids import Ids
from ..output._exit_codes import INCOMPLETE, exit_code_of_run
from ..output._hints import format_error
from ..output._progress import ProgressTable
from ..output._rows import error_to_dict, status_text, task_row
from ..output._run import Work, on_interrupt, run_async, run_with_progress
from ..output._terminal import OutputError, Terminal, echo_err


@attrs.define
class TaskReport:
    """The report of one run of `list` or `wait`.

    Args:
        verb: What the command does to an id, such as "ended".
        ids: The ids.
        as_json: True to print lines of JSON.

    Attributes:
        progress: The progress of the run.
    """

    verb: str
    ids: Ids
    as_json: bool
    progress: ProgressTable = attrs.field(init=False)
    terminal: Terminal = attrs.field(factory=Terminal, init=False)
    _codes: set[int] = attrs.field(factory=set, init=False)
    _unfinished_rows: list[Text] = attrs.field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        self.progress = ProgressTable(self.verb, lambda: self.ids.total)

    def add(self, task_id: str, task: Task | None, error: errors.MJError | None, code: int) -> None:
        """Print the result of an id.

        Args:
            task_id: The id.
            task: The task as last seen, or None.
            error: The reason why the command has not got what it asked for, or None.
            code: The exit code for this id alone.

        Raises:
            OutputError: stdout is closed or full.
        """
        self._codes.add(code)
        word = type(error).__name__ if error is not None else status_text(task or Task(task_id))
        self.progress.finish(task_id, word)
        if self.as_json:
            self._print_as_json(task_id, task, error)
            return
        row = task_row(task_id, task, error, datetime.now(UTC))
        if error is None and not (task and task.is_final) and self.terminal.stdout_is_terminal:
            self._unfinished_rows.append(row)  # printed last, where the user sees them
        else:
            self.terminal.print_row(row)

    def _print_as_json(self, task_id: str, task: Task | None, error: errors.MJError | None) -> None:
        if error is not None:
            self.terminal.print_json({"id": task_id, "error": error_to_dict(error)})
        else:
            self.terminal.print_json((task or Task(task_id)).to_dict())

    def add_unanswered(self, task_ids: list[str], error: errors.MJError) -> None:
        """Print the error that ended the run for each id without a result, if lines are JSON.

        Raises:
            OutputError: stdout is closed or full.
        """
        for task_id in task_ids if self.as_json else ():
            self.terminal.print_json({"id": task_id, "error": error_to_dict(error)})

    def run(self, work: Work) -> int:
        """Run the work, show its progress, and print the totals at the end.

        Returns:
            The exit code.

        Raises:
            OutputError: stdout is closed or full.
        """
        with on_interrupt(lambda: echo_err(f"interrupted: {self.progress.summary()}")):
            return self._finish(run_async(run_with_progress, self.terminal, self.progress, work))

    def _finish(self, ended_by: Exception | None) -> int:
        if isinstance(ended_by, OutputError) and not str(ended_by):
            return INCOMPLETE  # the reader of stdout has ended
        for row in self._unfinished_rows:
            self.terminal.print_row(row)
        echo_err("" if ended_by is None else format_error(ended_by))
        ended_by = ended_by or self.ids.problem
        if ended_by is not None or self.ids.total != 1:
            echo_err(self.progress.summary())
        return exit_code_of_run(ended_by, self._codes)
