"""What to do next: each error of the command line says it, in the command line's words."""

from __future__ import annotations

import pytest

from mj_async import errors
from mj_async.cli.output._hints import format_error

KEY = "check the key (MJ_API_KEY or --api-key-file)"
ADDRESS = "check --base-url (MJ_BASE_URL)"
RETRY_LATER = "try again; if the error stays, tell the gateway's operator"
PROXY = "give http://host:port there, or unset it"


@pytest.mark.parametrize(
    ("error", "step"),
    [
        (
            errors.AuthenticationError(),
            f"{KEY}, or run mj-async probe to find out how to send it",
        ),
        (errors.PermissionDeniedError(), "ask the gateway's operator what this key may do"),
        (errors.TaskNotFoundError(), "check the id, and that this key submitted it"),
        (
            errors.UnsupportedError(),
            f"{ADDRESS}, or run mj-async probe to see what the gateway has",
        ),
        (errors.APIError(), RETRY_LATER),
        (errors.RequestTimeoutError("late"), RETRY_LATER),
        (errors.TransportError("refused"), f"{ADDRESS}, and that the gateway runs"),
        (
            errors.TransportError("HTTP 407", temporary=False),
            "put the proxy's user and password into HTTPS_PROXY or HTTP_PROXY",
        ),
        (
            errors.TransportError("untrusted", temporary=False),
            "set SSL_CERT_FILE to a file with the certificate of the gateway's authority",
        ),
        (errors.UnexpectedAnswerError("html"), ADDRESS),
        (errors.UnexpectedAnswerError("json"), ADDRESS),
        (errors.UnexpectedAnswerError("redirect"), ADDRESS),
        (errors.UnexpectedAnswerError("other task"), RETRY_LATER),
        (
            errors.SeedUnavailableError(task_id="7"),
            "look at the task with mj-async fetch 7",
        ),
        (errors.WaitTimeoutError(task_id="7", task=None), "wait longer, with --timeout"),
        (
            errors.WaitTimeoutError(
                task_id="7", task=None, last_error=errors.TransportError("refused")
            ),
            f"{ADDRESS}, and that the gateway runs",
        ),
        (
            errors.ConfigurationError("the task id '' is empty"),
            "give ids as the gateway gave them, each as one argument",
        ),
        (
            errors.ConfigurationError("the key is empty"),
            KEY,
        ),
        (errors.ConfigurationError("base_url is no address (InvalidURL)"), ADDRESS),
        (errors.ConfigurationError("HTTPS_PROXY in the environment has no host"), PROXY),
        (errors.ConfigurationError("ALL_PROXY in the environment has no host"), PROXY),
    ],
)
def test_what_to_do_next(error: errors.MJError, step: str) -> None:
    """The hint follows the message of the library."""
    assert f"{error}; next: {step}" == format_error(error)


@pytest.mark.parametrize(
    "error",
    [
        errors.RateLimitError(),
        errors.ServerError(),
        errors.ConfigurationError("no key: set MJ_API_KEY, or give --api-key-file"),
        errors.ConfigurationError("timeout must be a finite number of seconds above 0, not 0.0"),
        errors.ClientStateError("this client is closed; make another one"),
        OSError("not ours"),
    ],
)
def test_what_says_it_itself(error: Exception) -> None:
    """A message that has a hint gets no second one."""
    assert str(error) == format_error(error)


def test_a_probe_does_not_advise_a_probe() -> None:
    """A hint after a failed probe does not recommend another probe."""
    for kind in (errors.AuthenticationError, errors.UnsupportedError):
        assert "mj-async probe" in format_error(kind())
        assert "mj-async probe" not in format_error(kind(), by_probe=True)
