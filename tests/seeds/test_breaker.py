"""Whether the gateway lives, as far as failures tell."""

from __future__ import annotations

from mj_async._seeds.breaker import CircuitBreaker


def held_pulse() -> CircuitBreaker:
    """Make one that two failures have put on hold at 7 s."""
    pulse = CircuitBreaker(2, 30.0, 3)
    pulse.failed(5.0)
    pulse.failed(7.0)
    return pulse


def test_failures_in_a_row_hold() -> None:
    """Two in a row do, and it is due to be asked at once."""
    pulse = CircuitBreaker(2, 30.0, 3)
    pulse.failed(0.0)
    pulse.answered()
    pulse.failed(1.0)

    assert (False, None) == (pulse.held, pulse.due)
    assert not pulse.take(1.0)
    pulse.failed(2.0)

    assert (True, 2.0) == (pulse.held, pulse.due)


def test_it_is_asked_by_one_at_a_time() -> None:
    """Whoever takes the question is the only one, until it is answered."""
    pulse = held_pulse()
    taken = [pulse.take(7.0), pulse.take(7.0)]

    assert [True, False] == taken
    assert (True, None) == (pulse.held, pulse.due)


def test_silence_is_asked_again_from_start_to_start() -> None:
    """The next question is due so long after the last one was put."""
    pulse = held_pulse()
    pulse.take(7.0)
    pulse.failed(9.0)  # one that was under way
    pulse.is_silent()

    assert (True, 37.0, 1, False) == (pulse.held, pulse.due, pulse.silences, pulse.gone)
    assert not pulse.take(36.9)
    assert pulse.take(37.0)


def test_three_silences_in_a_row_are_the_end() -> None:
    """They are counted from the last answer."""
    pulse = held_pulse()
    for _ in range(2):
        pulse.is_silent()
    pulse.lives()

    assert (False, 0, False, None) == (pulse.held, pulse.silences, pulse.gone, pulse.due)
    for _ in range(3):
        pulse.is_silent()

    assert pulse.gone


def test_an_era_ends_with_a_silence() -> None:
    """A gateway that answers the first question has not been away."""
    pulse = held_pulse()
    pulse.lives()

    assert 0 == pulse.era
    pulse.is_silent()
    pulse.lives()

    assert 1 == pulse.era
