"""The errors: their copies, their messages, and their builtin bases."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from mj_async import Task, TaskList, errors

TASK = Task("1", status="FAILURE", progress_text="100%", fail_reason="banned prompt")
WORKING = Task("1", status="IN_PROGRESS", progress_text="40%")
REFUSAL: dict[str, Any] = {
    "status_code": 400,
    "code": 4,
    "description": "no",
    "request_id": "2025a1B2",
    "retry_after": 2.5,
    "task_id": "1",
}
ENDED: dict[str, Any] = {"task_id": "1", "task": TASK, "elapsed": 12.5, "polls": 4}
UNEXPECTED: dict[str, Any] = {
    "status_code": 200,
    "content_type": "text/html",
    "snippet": "<html>",
    "task_id": "1",
}
UNAVAILABLE: dict[str, Any] = {"task_id": "1", "task": TASK, "code": 9, "description": "no"}

# One row for each class: what it is made of; all keywords must come back as attributes.
MAKERS: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "MJError": (("anything",), {}),
    "ConfigurationError": (("the key is empty",), {}),
    "ClientStateError": (("this client is closed",), {}),
    "TransportError": (("reset",), {"task_id": "1", "temporary": False}),
    "RequestTimeoutError": (("no answer",), {"task_id": "1", "temporary": True}),
    "UnexpectedAnswerError": (("html",), UNEXPECTED),
    "APIError": ((), REFUSAL),
    "AuthenticationError": ((), REFUSAL),
    "PermissionDeniedError": ((), REFUSAL),
    "TaskNotFoundError": ((), REFUSAL),
    "RateLimitError": ((), REFUSAL),
    "UnsupportedError": ((), REFUSAL),
    "ServerError": ((), REFUSAL),
    "SeedUnavailableError": ((), UNAVAILABLE),
    "TaskError": ((), ENDED),
    "TaskFailedError": ((), ENDED),
    "TaskCancelledError": ((), ENDED),
    "TaskNeedsInputError": ((), ENDED),
    "TaskStalledError": ((), ENDED),
    "WaitTimeoutError": ((), ENDED),
}
COPIES: list[Callable[[errors.MJError], errors.MJError]] = [
    copy.copy,
    copy.deepcopy,
    *(partial(lambda p, error: pickle.loads(pickle.dumps(error, p)), p) for p in range(2, 6)),  # noqa: S301
]


def make(name: str) -> errors.MJError:
    """Return an error of that class, with all its attributes."""
    arguments, keywords = MAKERS[name]
    error: errors.MJError = getattr(errors, name)(*arguments, **keywords)
    return error


def test_every_class_has_a_row() -> None:
    """A new class needs a row here, and its name in `__all__`."""
    defined = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.MJError)
    }

    assert defined == set(errors.__all__)
    assert defined == set(MAKERS)


@pytest.mark.parametrize("name", errors.__all__)
def test_every_error_can_be_copied_and_pickled(name: str) -> None:
    """Copies keep their class, their message and every attribute."""
    error = make(name)
    error.partial = TaskList([WORKING], missing=["2"])
    error.add_note("seen on the way")

    assert pickle.HIGHEST_PROTOCOL <= 5
    for copied in COPIES:
        other = copied(error)

        assert type(error) is type(other)
        assert (str(error), error.args) == (str(other), other.args)
        assert vars(error) == vars(other)
        assert MAKERS[name][1].items() <= vars(other).items()
        assert error.partial == other.partial


def test_every_error_is_an_mjerror() -> None:
    """One except clause catches them all, and each has the id of its task."""
    for name in errors.__all__:
        error = make(name)

        assert isinstance(error, errors.MJError)
        assert MAKERS[name][1].get("task_id") == error.task_id
        assert error.partial is None
        assert "" != str(error)


BASES: dict[str, tuple[type[Exception], ...]] = {
    "ConfigurationError": (ValueError,),
    "ClientStateError": (RuntimeError,),
    "RequestTimeoutError": (TimeoutError, errors.TransportError),
    "WaitTimeoutError": (TimeoutError, errors.TaskError),
    "AuthenticationError": (errors.APIError,),
    "PermissionDeniedError": (errors.APIError,),
    "TaskNotFoundError": (errors.APIError,),
    "RateLimitError": (errors.APIError,),
    "UnsupportedError": (errors.APIError,),
    "ServerError": (errors.APIError,),
    "TaskFailedError": (errors.TaskError,),
    "TaskCancelledError": (errors.TaskError,),
    "TaskNeedsInputError": (errors.TaskError,),
    "TaskStalledError": (errors.TaskError,),
}


def test_bases() -> None:
    """Errors can be caught as their builtin relatives and as their group."""
    for name, bases in BASES.items():
        assert all(isinstance(make(name), base) for base in bases), name
    for name in ("SeedUnavailableError", "TransportError", "TaskError"):
        assert not isinstance(make(name), errors.APIError), name


FACTS = "task 1, HTTP 400, code 4, request id 2025a1B2, retry after 2.5 s"
MESSAGES: list[Any] = [
    ("APIError", f"the gateway refused the request ({FACTS}): 'no'"),
    (
        "AuthenticationError",
        (
            f"the gateway refused the key ({FACTS}): 'no'; check the key and Dialect(auth=…);"
            " new-api also answers so when the key's quota is used up or expired"
        ),
    ),
    (
        "PermissionDeniedError",
        (
            f"the gateway does not allow this ({FACTS}): 'no'; new-api also answers so when the key"
            " is limited to other models"
        ),
    ),
    (
        "TaskNotFoundError",
        (
            f"the gateway does not know the task ({FACTS}): 'no'; new-api shows a task only to the"
            " account that submitted it"
        ),
    ),
    (
        "RateLimitError",
        (
            f"the gateway asks to slow down ({FACTS}): 'no'; try again later, or with a smaller"
            " max_connections"
        ),
    ),
    (
        "UnsupportedError",
        f"the gateway does not have this route ({FACTS}): 'no'; if no call works, check base_url",
    ),
    (
        "ServerError",
        (
            f"the gateway has failed ({FACTS}): 'no'; try again later, and tell its operator if it"
            " stays so"
        ),
    ),
    (
        "UnexpectedAnswerError",
        (
            "unexpected answer (HTTP 200): a web page came back; check base_url and its path:"
            " '<html>'"
        ),
    ),
    ("SeedUnavailableError", "task 1 has no seed (code 9): 'no'; its status is 'FAILURE'"),
    (
        "TaskFailedError",
        (
            "task 1: it failed (after 12.5 s and 4 polls); status 'FAILURE', progress '100%',"
            " reason 'banned prompt'"
        ),
    ),
]


def test_messages() -> None:
    """A message has the facts, the text of the gateway, and what to do next."""
    assert dict(MESSAGES) == {name: str(make(name)) for name, _ in MESSAGES}


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            errors.TaskNotFoundError(task_id="1"),
            (
                "the gateway does not know the task (task 1); new-api shows a task only to the"
                " account that submitted it"
            ),
        ),
        (errors.APIError(), "the gateway refused the request"),
        (
            errors.APIError(status_code=502, code=0),
            "the gateway refused the request (HTTP 502, code 0)",
        ),
        (errors.APIError(status_code=400, code=""), "the gateway refused the request (HTTP 400)"),
        (
            errors.UnexpectedAnswerError("json", snippet="hello"),
            "unexpected answer: the body is not the JSON of this API: 'hello'",
        ),
        (errors.SeedUnavailableError(task_id="1"), "task 1 has no seed"),
        (
            errors.SeedUnavailableError(task_id="1", task=Task("1", status="SUCCESS"), code=""),
            "task 1 has no seed",
        ),
        (
            errors.WaitTimeoutError(task_id="1", task=None),
            "task 1: it was not done in time; no poll found it",
        ),
        (
            errors.TaskStalledError(task_id="1", task=WORKING, elapsed=60, polls=20),
            (
                "task 1: its status and progress stand still (after 60.0 s and 20 polls); status"
                " 'IN_PROGRESS', progress '40%'"
            ),
        ),
        (
            errors.WaitTimeoutError(
                task_id="1",
                task=None,
                elapsed=60,
                polls=1,
                last_error=errors.TransportError("connection refused"),
            ),
            (
                "task 1: it was not done in time (after 60.0 s and 1 poll); no poll found it;"
                " the last poll failed: connection refused"
            ),
        ),
        (
            errors.TaskNeedsInputError(task_id="1", task=WORKING),
            (
                "task 1: it waits for input (submit/modal), which this library does not send;"
                " status 'IN_PROGRESS', progress '40%'"
            ),
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_messages_without_details(error: errors.MJError, message: str) -> None:
    """A message leaves out unknown facts."""
    assert message == str(error)
