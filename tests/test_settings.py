"""What a user may set: a schedule that learns."""

from __future__ import annotations

from typing import Any

import pytest

from mj_async import Polling
from mj_async.errors import ConfigurationError


def test_an_adaptive_schedule_learns() -> None:
    """It is a usual one that learns."""
    assert Polling(learning=True) == Polling.adaptive()
    assert not Polling().learning


def test_an_adaptive_schedule_takes_the_other_options() -> None:
    """Its bounds may be set, and so may all other options."""
    expected = Polling(
        interval=2.0, max_interval=20.0, jitter=0.0, stall_timeout=60.0, learning=True
    )

    assert expected == Polling.adaptive(
        interval=2.0, max_interval=20.0, jitter=0.0, stall_timeout=60.0
    )


@pytest.mark.parametrize(
    ("options", "option"),
    [
        ({"interval": 0}, "interval"),
        ({"max_interval": -1}, "max_interval"),
        ({"jitter": 1}, "jitter"),
        ({"missing_grace": "1"}, "missing_grace"),
    ],
    ids=str,
)
def test_an_adaptive_schedule_checks_its_options(options: dict[str, Any], option: str) -> None:
    """A value out of range is refused by its name."""
    with pytest.raises(ConfigurationError, match=f"^{option} must"):
        Polling.adaptive(**options)


@pytest.mark.parametrize("learning", [None, 1, 0, "yes"], ids=repr)
def test_learning_is_a_flag(learning: Any) -> None:
    """Whether a schedule learns is True or False, and nothing that looks like it."""
    with pytest.raises(ConfigurationError, match="learning must be True or False"):
        Polling(learning=learning)
