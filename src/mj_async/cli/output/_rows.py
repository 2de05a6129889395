"""PURE: a task as one line, as several, and its error as JSON."""

from __future__ import annotations

from datetime import UTC, datetime

from rich.text import Text

from mj_async import Task, TaskStatus, errors

from ._text import format_duration, sanitize

_STYLES: dict[str, str] = {
    TaskStatus.SUCCESS: "green",
    TaskStatus.FAILURE: "red",
    TaskStatus.CANCEL: "red",
    TaskStatus.IN_PROGRESS: "cyan",
}
_DETAILS = {
    "action": "action",
    "prompt": "prompt",
    "prompt_en": "in English",
    "fail_reason": "reason",
    "image_url": "image",
    "video_url": "video",
    "seed": "seed",
}


def style_for(word: str) -> str:
    """Give the colour of a status or of an error's name."""
    return _STYLES.get(word, "red" if word.endswith("Error") else "")


def status_text(task: Task) -> str:
    """Give the status as one word, whatever the gateway made of it."""
    return "_".join(sanitize(task.status).split()) or "-"


def progress_text(task: Task) -> str:
    """Give the progress as one word."""
    return "-" if task.progress is None else f"{task.progress}%"


def elapsed_text(task: Task, now: datetime) -> str:
    """Give how long it took, or has been taking, since it was submitted."""
    if task.submit_time is None or (task.is_final and task.finish_time is None):
        return "-"
    return format_duration(((task.finish_time or now) - task.submit_time).total_seconds())


def task_row(task_id: str, task: Task | None, error: errors.MJError | None, now: datetime) -> Text:
    """Give one line: id, status, progress, time, and what there is to say.

    Args:
        task_id: The id.
        task: The task as last seen, or None.
        error: Why it is not what was asked for; it stands in place of the status.
        now: The time.
    """
    word = type(error).__name__ if error is not None else status_text(task or Task(task_id))
    progress = "-" if task is None else progress_text(task)
    time = "-" if task is None else elapsed_text(task, now)
    remark = str(error) if error is not None else _remark(task or Task(task_id))
    fields = (sanitize(task_id), " ", (f"{word:<11}", style_for(word)), f" {progress:>4} {time:>6}")
    return Text.assemble(*fields, f" {sanitize(remark)}" if remark else "")


def _remark(task: Task) -> str:
    if task.succeeded:
        return task.image_url or next(iter(task.image_urls), None) or task.video_url or ""
    return (task.fail_reason or "") if task.is_final else ""


def task_details(task: Task) -> list[Text]:
    """Give everything that a human asks a task about, a line each."""
    state = f"{status_text(task)} {progress_text(task)}".removesuffix(" -")
    lines = [("id", task.id), ("status", state)]
    lines += [(label, str(getattr(task, name) or "")) for name, label in _DETAILS.items()]
    lines += [
        ("pictures", " ".join(task.image_urls)),
        ("submitted", _format_time(task.submit_time)),
    ]
    took = "" if task.duration is None else format_duration(task.duration)
    lines += [("took", took), ("link ends", _format_time(task.image_expires_at))]
    lines.append(("buttons", " ".join(one.label or one.emoji or "?" for one in task.buttons)))
    shown = [(label, sanitize(value)) for label, value in lines if value]
    return [Text.assemble((f"{label:<10}", "bold"), " ", value) for label, value in shown]


def _format_time(time: datetime | None) -> str:
    return "" if time is None else f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def error_to_dict(error: errors.MJError) -> dict[str, str]:
    """Give an error as a machine reads it."""
    return {"type": type(error).__name__, "message": str(error)}
