"""How far a task is: what is further on, what is a change, what is still missing. Pure."""

from __future__ import annotations

from ._models import Task, TaskStatus

_RANKS: dict[str, int] = {
    TaskStatus.NOT_START: 1,
    TaskStatus.SUBMITTED: 2,
    TaskStatus.MODAL: 2,
    TaskStatus.IN_PROGRESS: 3,
    TaskStatus.CANCEL: 4,
    TaskStatus.FAILURE: 4,
    TaskStatus.SUCCESS: 5,
}
# They answer with text, so that a missing picture says nothing.
_TEXT_ACTIONS = frozenset({"DESCRIBE", "SHORTEN", "PIC_READER"})


def is_further(task: Task, other: Task | None) -> bool:
    """Whether the task is further on than the other; one is further than none."""
    return other is None or _how_far(task) > _how_far(other)


def _how_far(task: Task) -> tuple[int, int]:
    # By status first: new-api says 100 % for failures, too.
    return _RANKS.get(task.status, 0), task.progress or 0


def is_change(task: Task, other: Task | None) -> bool:
    """Whether status or progress differ."""
    # Not the picture's URL: new-api changes its `?rand=` at every poll.
    if other is None or task.status != other.status:
        return True
    return task.progress_text != other.progress_text and task.progress != other.progress


def lacks_picture(task: Task) -> bool:
    """Whether it has succeeded and yet has nothing to show: gateways say so a moment early."""
    if not task.succeeded or task.action in _TEXT_ACTIONS:
        return False
    return not (task.image_url or task.image_urls or task.video_url or task.video_urls)
