"""PURE: a task as one line or as several, and an error as JSON."""

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
    """Return the colour of a status or of an error's name."""
    return _STYLES.get(word, "red" if word.endswith("Error") else "")


def status_text(task: Task) -> str:
    """Return the status as one word, whatever the gateway sent."""
    return "_".join(sanitize(task.status).split()) or "-"


def progress_text(task: Task) -> str:
    return "-" if task.progress is None else f"{task.progress}%"


def elapsed_text(task: Task, now: datetime) -> str:
    """Return the time from the submission to the end, or to now if the task has not ended."""
    if task.submit_time is None or (task.is_final and task.finish_time is None):
        return "-"
    return format_duration(((task.finish_time or now) - task.submit_time).total_seconds())


def task_row(task_id: str, task: Task | None, error: errors.MJError | None, now: datetime) -> Text:
    """Return one line: id, status, progress, time, and the image's address or a reason.

    Args:
        task_id: The id.
        task: The task as last seen, or None.
        error: The reason why the command has not got what it asked for. Its name replaces the
            status.
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
    """Return the details of a task for people, one line each; without those that are empty."""
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
    """Return an error as the JSON output has it."""
    return {"type": type(error).__name__, "message": str(error)}
