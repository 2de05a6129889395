"""The report of `list` and `wait`: a row for each id, totals, and the exit code."""

from __future__ import annotations

from datetime import UTC, datetime

import attrs
from rich.text import Text

from mj_async import Task, errors

from ..files._ids import Ids
from ..output._exit_codes import PARTLY, code_of_end
from ..output._hints import told
from ..output._progress import Board
from ..output._rows import error_of, row_of, status_of
from ..output._run import OnInterrupt, Work, run_async, run_shown
from ..output._terminal import OutputError, Terminal, say


@attrs.define
class Report:
    """The report of one run of `list` or `wait`.

    Args:
        verb: What becomes of the ids, such as "ended".
        ids: The ids.
        as_json: Whether each line is JSON.

    Attributes:
        board: What is shown of it.
    """

    verb: str
    ids: Ids
    as_json: bool
    board: Board = attrs.field(init=False)
    terminal: Terminal = attrs.field(factory=Terminal, init=False)
    _codes: set[int] = attrs.field(factory=set, init=False)
    _held_back: list[Text] = attrs.field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        self.board = Board(self.verb, lambda: self.ids.total)

    def tell(
        self, task_id: str, task: Task | None, error: errors.MJError | None, code: int
    ) -> None:
        """Tell what became of an id.

        Args:
            task_id: The id.
            task: The task, or None.
            error: Why the task is not what was asked for, or None.
            code: The exit code that this alone would give.

        Raises:
            OutputError: It cannot be written.
        """
        self._codes.add(code)
        word = type(error).__name__ if error is not None else status_of(task or Task(task_id))
        self.board.end(task_id, word)
        if self.as_json:
            self._tell_as_json(task_id, task, error)
            return
        row = row_of(task_id, task, error, datetime.now(UTC))
        if error is None and not (task and task.is_final) and self.terminal.shows_results:
            self._held_back.append(row)  # just above the prompt, where they are seen
        else:
            self.terminal.put_row(row)

    def _tell_as_json(self, task_id: str, task: Task | None, error: errors.MJError | None) -> None:
        if error is not None:
            self.terminal.put_json({"id": task_id, "error": error_of(error)})
        else:
            self.terminal.put_json((task or Task(task_id)).to_dict())

    def tell_unanswered(self, task_ids: list[str], error: errors.MJError) -> None:
        """Tell machines which ids have no answer, since the run has ended; humans are told once.

        Raises:
            OutputError: It cannot be written.
        """
        for task_id in task_ids if self.as_json else ():
            self.terminal.put_json({"id": task_id, "error": error_of(error)})

    def conduct(self, work: Work) -> int:
        """Do a run's work, show how far it has come, and say at the end how it went.

        Returns:
            The exit code.

        Raises:
            OutputError: What was held back cannot be written.
        """
        with OnInterrupt(lambda: say(f"interrupted: {self.board.speak()}")):
            return self._conclude(run_async(run_shown, self.terminal, self.board, work))

    def _conclude(self, ended_by: Exception | None) -> int:
        if isinstance(ended_by, OutputError) and not str(ended_by):
            return PARTLY  # nobody reads any more
        for row in self._held_back:
            self.terminal.put_row(row)
        say("" if ended_by is None else told(ended_by))
        ended_by = ended_by or self.ids.problem
        if ended_by is not None or self.ids.total != 1:
            say(self.board.speak())
        return code_of_end(ended_by, self._codes)
