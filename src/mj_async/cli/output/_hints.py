"""PURE: what to do next about an error, in the words of the command line."""

from __future__ import annotations

from mj_async import errors

_ADDRESS = "check --base-url (MJ_BASE_URL)"
_KEY = "check the key (MJ_API_KEY or --api-key-file)"
_RETRY_LATER = "try again, and tell the gateway's operator if it stays so"
_NOT_A_GATEWAY = frozenset({"html", "json", "redirect"})

# The first class that fits; the others say it themselves.
_HINTS: tuple[tuple[type[errors.MJError], str], ...] = (
    (errors.AuthenticationError, f"{_KEY}, or let mj-async probe find out how it is taken"),
    (errors.PermissionDeniedError, "ask the gateway's operator what this key may do"),
    (errors.TaskNotFoundError, "check the id, and whose key has submitted it"),
    (errors.UnsupportedError, f"{_ADDRESS}, or let mj-async probe find out what there is"),
    (errors.WaitTimeoutError, "wait longer, with --timeout"),
    (errors.RequestTimeoutError, _RETRY_LATER),
)
_PROBE_HINTS: tuple[tuple[type[errors.MJError], str], ...] = (
    (errors.AuthenticationError, _KEY),
    (errors.UnsupportedError, _ADDRESS),
    (errors.RequestTimeoutError, f"{_ADDRESS}, or give it longer, with --timeout"),
)

# The library's complaints, by their beginnings; those of the command line say it themselves.
_CONFIGURATION_HINTS = (
    ("the task id", "give ids as the gateway gave them, each as one argument"),
    ("the key", _KEY),
    ("base_url", _ADDRESS),
    ("batch_size above 1", "give --seed-form multipart"),
    ("proxy", "check HTTPS_PROXY, HTTP_PROXY and SSL_CERT_FILE"),
    ("HTTP", "give http://host:port there, or unset it"),  # HTTPS_PROXY in the environment …
    ("ALL_PROXY", "give http://host:port there, or unset it"),
)


def format_error(error: Exception, *, by_probe: bool = False) -> str:
    """Give the error's sentence, and what to do next.

    Args:
        error: What has ended a command.
        by_probe: Whether `mj-async probe` tells it, which then is no advice.
    """
    # What is told of Redis has its step already.
    is_told = "; next: " in str(error)
    step = "" if is_told else _hint(error, _PROBE_HINTS if by_probe else ())
    return f"{error}; next: {step}" if step else str(error)


def root_cause(error: Exception) -> Exception:
    """Give what the polls failed with where a wait was over before a single one had worked."""
    if isinstance(error, errors.WaitTimeoutError) and error.task is None:
        return error.last_error or error
    return error


def _hint(error: Exception, first: tuple[tuple[type[errors.MJError], str], ...]) -> str:
    error = root_cause(error)
    found = (step for kind, step in (*first, *_HINTS) if isinstance(error, kind))
    step = next(found, "")
    if step:
        return step
    if isinstance(error, errors.TransportError):
        return _transport_hint(error)
    if isinstance(error, errors.UnexpectedAnswerError):
        return _ADDRESS if error.reason in _NOT_A_GATEWAY else _RETRY_LATER
    if isinstance(error, errors.SeedUnavailableError):
        return f"see how the task is, with mj-async fetch {error.task_id}"
    if isinstance(error, errors.ConfigurationError):
        steps = (step for said, step in _CONFIGURATION_HINTS if str(error).startswith(said))
        return next(steps, "")
    return _RETRY_LATER if type(error) is errors.APIError else ""


def _transport_hint(error: errors.TransportError) -> str:
    if error.temporary:
        return f"{_ADDRESS}, and whether the gateway runs"
    if "407" in str(error):
        return "put the proxy's user and password into HTTPS_PROXY or HTTP_PROXY"
    return "let SSL_CERT_FILE name a file with the certificate of the gateway's authority"
