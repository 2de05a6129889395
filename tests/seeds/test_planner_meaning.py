"""What an error means for one id of many, and how long that id is left alone."""

from __future__ import annotations

import pytest

from _fake_seed_api import NO_ACCOUNT
from mj_async import errors
from mj_async._seeds.planner import SeedItem, delay_before_next_ask, meaning_of


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (errors.RateLimitError(status_code=429), "rate_limited"),
        (errors.TransportError("reset"), "outage"),
        (errors.TransportError("untrusted", temporary=False), "outage"),
        (errors.RequestTimeoutError("slow"), "outage"),
        (errors.ServerError(status_code=500), "outage"),
        (errors.ServerError(status_code=599), "outage"),
        (errors.ServerError(status_code=408), "retry"),
        (errors.ServerError(), "retry"),
        (errors.ServerError(status_code=401), "final"),
        (errors.UnexpectedAnswerError("cut short"), "retry"),
        (errors.UnexpectedAnswerError("json"), "retry"),
        (errors.UnexpectedAnswerError("html"), "final"),
        (errors.SeedUnavailableError(task_id="1", code=5), "retry"),
        (errors.SeedUnavailableError(task_id="1", code=9), "retry"),
        (errors.SeedUnavailableError(task_id="1", code=3, description=NO_ACCOUNT), "retry"),
        (errors.SeedUnavailableError(task_id="1", code=3), "final"),
        (errors.SeedUnavailableError(task_id="1", code=4), "final"),
        (errors.TaskNotFoundError(), "final"),
        (errors.UnsupportedError(), "final"),
        (errors.APIError(status_code=400), "final"),
    ],
    ids=str,
)
def test_what_an_error_means_for_one_id_of_many(error: errors.MJError, expected: str) -> None:
    """A 429, a silence that may be the gateway's end, what may be had later, and what may not."""
    assert expected == meaning_of(error)


@pytest.mark.parametrize(
    ("error", "for_seed", "expected"),
    [
        (errors.TransportError("reset"), True, 7.0),
        (errors.RequestTimeoutError("slow"), True, 20.0),
        (errors.RequestTimeoutError("slow"), False, 7.0),
        (errors.SeedUnavailableError(task_id="1", code=5), True, 20.0),
        (errors.SeedUnavailableError(task_id="1", code="5"), True, 20.0),
        (errors.SeedUnavailableError(task_id="1", code=9), True, 7.0),
        (errors.SeedUnavailableError(task_id="1", code=3, description=NO_ACCOUNT), True, 7.0),
        (errors.ServerError(status_code=500), True, 7.0),
        (errors.ServerError(status_code=504), True, 20.0),
        (errors.ServerError(status_code=524), True, 20.0),
        (errors.ServerError(status_code=503, retry_after=3.0), True, 7.0),
        (errors.ServerError(status_code=503, retry_after=60.0), False, 60.0),
    ],
    ids=str,
)
def test_how_long_an_id_of_many_is_left_alone(
    error: errors.MJError,
    for_seed: bool,  # noqa: FBT001
    expected: float,
) -> None:
    """For as long as the run says, or longer after a time-out or for a Retry-After."""
    assert expected == delay_before_next_ask(error, 7.0, for_seed=for_seed)


NEW, LISTED = SeedItem("1"), SeedItem("1", is_listed=True)


@pytest.mark.parametrize(
    ("error", "items", "expected"),
    [
        (errors.UnsupportedError(status_code=404), [NEW], "no_list"),
        (errors.UnexpectedAnswerError("html", status_code=200), [NEW], "no_list"),
        (errors.UnexpectedAnswerError("json", status_code=200), [NEW], "no_list"),
        (errors.UnexpectedAnswerError("cut short", status_code=200), [NEW], "no_list"),
        (errors.APIError(status_code=400), [NEW, NEW], "final"),
        (errors.APIError(status_code=400), [LISTED], "final"),
        (errors.APIError(status_code=400), [LISTED, LISTED], "split"),
        (errors.UnsupportedError(status_code=404), [LISTED, LISTED], "split"),
        (errors.TaskNotFoundError(), [LISTED, LISTED], "split"),
        (errors.UnexpectedAnswerError("html", status_code=200), [LISTED, LISTED], "split"),
        (errors.UnexpectedAnswerError("json"), [LISTED, LISTED], "retry"),
        (errors.RateLimitError(status_code=429), [LISTED, LISTED], "rate_limited"),
    ],
    ids=str,
)
def test_a_list_and_a_request_for_many_seeds(
    error: errors.MJError, items: list[SeedItem], expected: str
) -> None:
    """A list that cannot be read is no list; a refusal of many seeds is not known to be of one."""
    assert expected == meaning_of(error, items)
