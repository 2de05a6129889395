"""The circuit breaker of a bulk lookup."""

from __future__ import annotations

from mj_async._seeds.breaker import CircuitBreaker


def open_breaker() -> CircuitBreaker:
    """Return a breaker that two failures have opened at 7 s."""
    breaker = CircuitBreaker(2, 30.0, 3)
    breaker.record_failure(5.0)
    breaker.record_failure(7.0)
    return breaker


def test_failures_in_a_row_open_it() -> None:
    """Two in a row do, and a probe is due at once."""
    breaker = CircuitBreaker(2, 30.0, 3)
    breaker.record_failure(0.0)
    breaker.record_success()
    breaker.record_failure(1.0)

    assert (False, None) == (breaker.is_open, breaker.probe_at)
    assert not breaker.try_probe(1.0)
    breaker.record_failure(2.0)

    assert (True, 2.0) == (breaker.is_open, breaker.probe_at)


def test_there_is_one_probe_at_a_time() -> None:
    """No other probe is due until its result is recorded."""
    breaker = open_breaker()
    taken = [breaker.try_probe(7.0), breaker.try_probe(7.0)]

    assert [True, False] == taken
    assert (True, None) == (breaker.is_open, breaker.probe_at)


def test_probes_are_spaced_from_start_to_start() -> None:
    """The next probe is due 30 s after the start of the last one."""
    breaker = open_breaker()
    breaker.try_probe(7.0)
    breaker.record_failure(9.0)  # one that was under way
    breaker.probe_failed()

    assert (True, 37.0, 1, False) == (
        breaker.is_open,
        breaker.probe_at,
        breaker.failed_probes,
        breaker.is_exhausted,
    )
    assert not breaker.try_probe(36.9)
    assert breaker.try_probe(37.0)


def test_three_failed_probes_in_a_row_exhaust_it() -> None:
    """A successful probe ends the row."""
    breaker = open_breaker()
    for _ in range(2):
        breaker.probe_failed()
    breaker.close()

    assert (False, 0, False, None) == (
        breaker.is_open,
        breaker.failed_probes,
        breaker.is_exhausted,
        breaker.probe_at,
    )
    for _ in range(3):
        breaker.probe_failed()

    assert breaker.is_exhausted


def test_an_outage_needs_a_failed_probe() -> None:
    """If the first probe succeeds there was no outage."""
    breaker = open_breaker()
    breaker.close()

    assert 0 == breaker.outages
    breaker.probe_failed()
    breaker.close()

    assert 1 == breaker.outages
