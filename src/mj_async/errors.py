"""The errors of mj_async.

::

    MJError
    ├── ConfigurationError            (also ValueError) before any I/O
    ├── ClientStateError              (also RuntimeError)
    ├── TransportError                no usable answer came back
    │   └── RequestTimeoutError       (also TimeoutError)
    ├── UnexpectedAnswerError         an answer came back that is not of this API
    ├── APIError                      the gateway refused the request
    │   ├── AuthenticationError
    │   ├── PermissionDeniedError
    │   ├── TaskNotFoundError
    │   ├── RateLimitError
    │   ├── UnsupportedError
    │   └── ServerError
    ├── SeedUnavailableError
    └── TaskError
        ├── TaskFailedError
        ├── TaskCancelledError
        ├── TaskNeedsInputError
        ├── TaskStalledError
        └── WaitTimeoutError          (also TimeoutError)

All of them can be pickled, and none holds the key or a request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

if TYPE_CHECKING:
    from ._models import Task, TaskList

__all__ = [
    "APIError",
    "AuthenticationError",
    "ClientStateError",
    "ConfigurationError",
    "MJError",
    "PermissionDeniedError",
    "RateLimitError",
    "RequestTimeoutError",
    "SeedUnavailableError",
    "ServerError",
    "TaskCancelledError",
    "TaskError",
    "TaskFailedError",
    "TaskNeedsInputError",
    "TaskNotFoundError",
    "TaskStalledError",
    "TransportError",
    "UnexpectedAnswerError",
    "UnsupportedError",
    "WaitTimeoutError",
]

UnexpectedReason: TypeAlias = Literal[
    "html", "json", "too large", "cut short", "redirect", "other task"
]


def _restore(kind: type[MJError], args: tuple[Any, ...], state: dict[str, Any]) -> MJError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class MJError(Exception):
    """Base of all errors of this library.

    Attributes:
        task_id: The id of the task, or None if the error is about no task or many.
        partial: The tasks that `list_tasks` had received before it failed, else None.
    """

    task_id: str | None = None
    partial: TaskList | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        # Exception.__reduce__ would call __init__ with the message alone.
        return _restore, (type(self), self.args, self.__dict__)


class ConfigurationError(MJError, ValueError):
    """Raised before any I/O for a key, base_url, id or option that cannot work."""


class ClientStateError(MJError, RuntimeError):
    """Raised when the state of a client forbids a call, such as after `aclose()`."""


class TransportError(MJError):
    """Raised when no usable answer came back: refused, reset, cut off, untrusted.

    Attributes:
        temporary: True if another try may help; it does not for a bad certificate.
    """

    def __init__(self, message: str, *, task_id: str | None = None, temporary: bool = True) -> None:
        super().__init__(message)
        self.task_id = task_id
        self.temporary = temporary


class RequestTimeoutError(TransportError, TimeoutError):
    """Raised when a request, or a whole call, took longer than its timeout."""


class UnexpectedAnswerError(MJError):
    """Raised when an answer came back that is not of this API.

    Attributes:
        reason: "html", "json", "too large", "cut short", "redirect" or "other task".
        status_code: The HTTP status, or None for a webhook body.
        content_type: The answer's Content-Type, or "".
        snippet: The first 200 characters of the body, without control characters.
    """

    _advice: ClassVar[dict[str, str]] = {
        "html": "a web page came back; check base_url and its path",
        "json": "the body is not the JSON of this API; check base_url",
        "too large": "the body is larger than such an answer can be",
        "cut short": "the body ends in the middle; a proxy may have cut it",
        "redirect": "redirects are not followed, to keep the key at base_url; correct base_url",
        "other task": "the answer is about another task and was refused",
    }

    def __init__(
        self,
        reason: UnexpectedReason,
        *,
        status_code: int | None = None,
        content_type: str = "",
        snippet: str = "",
        task_id: str | None = None,
    ) -> None:
        status = "" if status_code is None else f" (HTTP {status_code})"
        quoted = f": {snippet!r}" if snippet else ""
        advice = self._advice[reason]
        if status_code is None:  # the body of a webhook, which does not come from base_url
            advice = advice.partition(";")[0]
        super().__init__(f"unexpected answer{status}: {advice}{quoted}")
        self.reason: UnexpectedReason = reason
        self.status_code = status_code
        self.content_type = content_type
        self.snippet = snippet
        self.task_id = task_id


class APIError(MJError):
    """Raised when the gateway refused the request for a reason without a class below.

    Attributes:
        status_code: The HTTP status, or None if a list left the id out.
        code: The gateway's own code, if it sent one.
        description: The text of the gateway, without control characters.
        request_id: The gateway's id of the request, for its operator.
        retry_after: The seconds that the gateway asks to wait, if it sent them.
    """

    _summary = "the gateway refused the request"
    _advice = ""
    # The summary of an error that the client raises without a request.
    _unsent = ""

    def __init__(  # noqa: PLR0913  # data, all by keyword
        self,
        *,
        status_code: int | None = None,
        code: int | str | None = None,
        description: str = "",
        request_id: str | None = None,
        retry_after: float | None = None,
        task_id: str | None = None,
    ) -> None:
        facts = [
            "" if task_id is None else f"task {task_id}",
            "" if status_code is None else f"HTTP {status_code}",
            "" if code in (None, "") else f"code {code}",
            "" if request_id is None else f"request id {request_id}",
            "" if retry_after is None else f"retry after {retry_after:g} s",
        ]
        where = ", ".join(filter(None, facts))
        where = f" ({where})" if where else ""
        quoted = f": {description!r}" if description else ""
        is_ours = status_code is None and self._unsent
        summary, advice = (self._unsent, "") if is_ours else (self._summary, self._advice)
        super().__init__(f"{summary}{where}{quoted}{advice}")
        self.status_code = status_code
        self.code = code
        self.description = description
        self.request_id = request_id
        self.retry_after = retry_after
        self.task_id = task_id


class AuthenticationError(APIError):
    """Raised on a 401: a wrong key, but also one whose quota is used up or expired."""

    _summary = "the gateway refused the key"
    _advice = (
        "; check the key and Dialect(auth=…); new-api also answers so"
        " when the key's quota is used up or expired"
    )


class PermissionDeniedError(APIError):
    """Raised on a 403: a banned user or address, or a key limited to other models."""

    _summary = "the gateway does not allow this"
    _advice = "; new-api also answers so when the key is limited to other models"


class TaskNotFoundError(APIError):
    """Raised when the gateway does not know the id."""

    _summary = "the gateway does not know the task"
    _advice = "; new-api shows a task only to the account that submitted it"


class RateLimitError(APIError):
    """Raised on a 429 after the last retry."""

    _summary = "the gateway asks to slow down"
    _advice = "; try again later, or with a smaller max_connections"
    _unsent = "held back by the client's gate, nothing was sent"


class UnsupportedError(APIError):
    """Raised when the gateway does not have this route."""

    _summary = "the gateway does not have this route"
    _advice = "; if no call works, check base_url"


class ServerError(APIError):
    """Raised when the gateway, or a proxy in front of it, has failed."""

    _summary = "the gateway has failed"
    _advice = "; try again later, and tell its operator if it stays so"


class SeedUnavailableError(MJError):
    """Raised when the answer of the gateway has no seed.

    Attributes:
        task: The task, if the gateway sent one.
        code: The gateway's own code, if it sent one.
        description: The text of the gateway, without control characters.
    """

    def __init__(
        self,
        *,
        task_id: str,
        task: Task | None = None,
        code: int | str | None = None,
        description: str = "",
    ) -> None:
        quoted = f": {description!r}" if description else ""
        about = "" if code in (None, "") else f" (code {code})"
        state = "" if task is None or task.succeeded else f"; its status is {task.status!r}"
        super().__init__(f"task {task_id} has no seed{about}{quoted}{state}")
        self.task_id: str = task_id
        self.task = task
        self.code = code
        self.description = description


class TaskError(MJError):
    """Base of the errors that end a wait.

    Attributes:
        task: The last state of the task; None only if no poll had found it.
        elapsed: Seconds since the wait began.
        polls: The number of requests for it.
    """

    _summary = "the task did not succeed"

    def __init__(
        self, *, task_id: str, task: Task | None, elapsed: float = 0.0, polls: int = 0
    ) -> None:
        count = "1 poll" if polls == 1 else f"{polls} polls"
        after = f" (after {elapsed:.1f} s and {count})" if polls else ""
        reason = f"{self._summary}{after}{self._last_seen(task)}{self._last_failed()}"
        super().__init__(f"task {task_id}: {reason}")
        self.task_id: str = task_id
        self.task = task
        self.elapsed = elapsed
        self.polls = polls

    def _last_failed(self) -> str:
        return ""

    @staticmethod
    def _last_seen(task: Task | None) -> str:
        if task is None:
            return "; no poll found it"
        reason = f", reason {task.fail_reason!r}" if task.fail_reason else ""
        return f"; status {task.status!r}, progress {task.progress_text!r}{reason}"


class TaskFailedError(TaskError):
    """Raised when the task ended with FAILURE."""

    _summary = "it failed"


class TaskCancelledError(TaskError):
    """Raised when the task ended with CANCEL."""

    _summary = "it was cancelled"


class TaskNeedsInputError(TaskError):
    """Raised when the task is MODAL: it stands still until its dialogue is answered."""

    _summary = "it waits for input (submit/modal), which this library does not send"


class TaskStalledError(TaskError):
    """Raised when status and progress stood still for `Polling.stall_timeout`."""

    _summary = "its status and progress stand still"


class WaitTimeoutError(TaskError, TimeoutError):
    """Raised when the timeout of the wait ends before the task; the task may still succeed.

    Attributes:
        last_error: The error of the last poll, or None if it did not fail.
    """

    _summary = "it was not done in time"

    def __init__(  # data, all by keyword
        self,
        *,
        task_id: str,
        task: Task | None,
        elapsed: float = 0.0,
        polls: int = 0,
        last_error: MJError | None = None,
    ) -> None:
        self.last_error = last_error
        super().__init__(task_id=task_id, task=task, elapsed=elapsed, polls=polls)

    def _last_failed(self) -> str:
        return "" if self.last_error is None else f"; the last poll failed: {self.last_error}"
