"""PURE: what to do next about an error, in the words of the command line."""

from __future__ import annotations

from mj_async import errors

_ADDRESS = "check --base-url (MJ_BASE_URL)"
_KEY = "check the key (MJ_API_KEY or --api-key-file)"
_RETRY_LATER = "try again; if the error stays, tell the gateway's operator"
_PROXY_ADDRESS = "give http://host:port there, or unset it"
# The reasons of UnexpectedAnswerError that mean: another server is at that address.
_NOT_A_GATEWAY = frozenset({"html", "json", "redirect"})

# The first class that matches. The messages of all other errors say what to do.
_HINTS: tuple[tuple[type[errors.MJError], str], ...] = (
    (errors.AuthenticationError, f"{_KEY}, or run mj-async probe to find out how to send it"),
    (errors.PermissionDeniedError, "ask the gateway's operator what this key may do"),
    (errors.TaskNotFoundError, "check the id, and that this key submitted it"),
    (errors.UnsupportedError, f"{_ADDRESS}, or run mj-async probe to see what the gateway has"),
    (errors.WaitTimeoutError, "wait longer, with --timeout"),
    (errors.RequestTimeoutError, _RETRY_LATER),
)
# These come first if the error ended mj-async probe, which must not recommend itself.
_PROBE_HINTS: tuple[tuple[type[errors.MJError], str], ...] = (
    (errors.AuthenticationError, _KEY),
    (errors.UnsupportedError, _ADDRESS),
    (errors.RequestTimeoutError, f"{_ADDRESS}, or allow more time with --timeout"),
)

# ConfigurationErrors of the library, by the beginning of their message.
_CONFIGURATION_HINTS = (
    ("the task id", "give ids as the gateway gave them, each as one argument"),
    ("the key", _KEY),
    ("base_url", _ADDRESS),
    ("batch_size above 1", "give --seed-form multipart"),
    ("proxy", "check HTTPS_PROXY, HTTP_PROXY and SSL_CERT_FILE"),
    ("HTTP", _PROXY_ADDRESS),  # "HTTPS_PROXY in the environment …"
    ("ALL_PROXY", _PROXY_ADDRESS),
)


def format_error(error: Exception, *, by_probe: bool = False) -> str:
    """Return the message of an error, and a hint what to do next.

    Args:
        error: An error that has ended a command.
        by_probe: True if the command is `mj-async probe`.
    """
    # The messages of the command line, and those about Redis, have their hint already.
    has_hint = "; next: " in str(error)
    hint = "" if has_hint else _hint(root_cause(error), _PROBE_HINTS if by_probe else ())
    return f"{error}; next: {hint}" if hint else str(error)


def root_cause(error: Exception) -> Exception:
    """Return the last poll's error if a wait timed out before any poll had an answer."""
    if isinstance(error, errors.WaitTimeoutError) and error.task is None:
        return error.last_error or error
    return error


def _hint(error: Exception, first: tuple[tuple[type[errors.MJError], str], ...]) -> str:
    hint = next((hint for kind, hint in (*first, *_HINTS) if isinstance(error, kind)), "")
    if hint:
        return hint
    if isinstance(error, errors.TransportError):
        return _transport_hint(error)
    if isinstance(error, errors.UnexpectedAnswerError):
        return _ADDRESS if error.reason in _NOT_A_GATEWAY else _RETRY_LATER
    if isinstance(error, errors.SeedUnavailableError):
        return f"look at the task with mj-async fetch {error.task_id}"
    if isinstance(error, errors.ConfigurationError):
        hints = (hint for start, hint in _CONFIGURATION_HINTS if str(error).startswith(start))
        return next(hints, "")
    return _RETRY_LATER if type(error) is errors.APIError else ""


def _transport_hint(error: errors.TransportError) -> str:
    if error.temporary:
        return f"{_ADDRESS}, and that the gateway runs"
    if "407" in str(error):
        return "put the proxy's user and password into HTTPS_PROXY or HTTP_PROXY"
    return "set SSL_CERT_FILE to a file with the certificate of the gateway's authority"
