"""Waiting for one task, on trio's virtual clock: exact instants, and what ends a wait."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from trio.testing import MockClock

from _fakes import Script, task, watch_on
from mj_async import Polling, Task, errors
from mj_async._polling.watch import wait

pytestmark = pytest.mark.anyio

STEADY = Polling(jitter=0)
MISSING = errors.TaskNotFoundError(status_code=400)
RESET = errors.TransportError("reset")
PAGE = errors.UnexpectedAnswerError("html", status_code=200)


@pytest.fixture
def anyio_backend() -> Any:
    """Run on trio, whose clock jumps when all sleep."""
    return ("trio", {"clock": MockClock(autojump_threshold=0)})


async def finish(poll: Script, *, raise_on_failure: bool = True, **options: Any) -> Task:
    """Wait for the end of a script."""
    on_update = options.pop("on_update", None)
    return await wait(watch_on(poll, **options), on_update, raise_on_failure=raise_on_failure)


async def test_polls_come_at_the_promised_instants() -> None:
    """At once, then every 3 s from start to start, growing by 1.3 up to 10 s."""
    poll = Script([task()] * 9 + [task("SUCCESS")])

    await finish(poll)

    assert [0, 3, 6.9, 11.97, 18.561, 27.1293, 37.1293, 47.1293, 57.1293, 67.1293] == pytest.approx(
        poll.at
    )


async def test_an_interval_counts_from_start_to_start() -> None:
    """The time that a poll takes is no part of the interval; one that takes longer delays."""
    polling = Polling(interval=2.0, factor=1.0, jitter=0)
    quick, slow = (Script([task()] * 3 + [task("SUCCESS")], lasting=each) for each in (1.5, 5.0))

    await finish(quick, polling=polling)
    started = anyio.current_time()
    await finish(slow, polling=polling)

    assert [0, 2, 4, 6] == pytest.approx(quick.at)
    assert [0, 5, 10, 15] == pytest.approx([at - started for at in slow.at])


@pytest.mark.parametrize(
    ("status", "error"),
    [("FAILURE", errors.TaskFailedError), ("CANCEL", errors.TaskCancelledError)],
)
async def test_an_ended_task_that_did_not_succeed_is_raised(
    status: str, error: type[errors.TaskError]
) -> None:
    """FAILURE and CANCEL are errors with the task, the time and the polls, or are returned."""
    ended = task(status, "100%", fail_reason="banned")

    with pytest.raises(error) as caught:
        await finish(Script([task(), ended]))
    returned = await finish(Script([ended]), raise_on_failure=False)

    assert (ended, 3.0, 2, "1") == (
        caught.value.task,
        caught.value.elapsed,
        caught.value.polls,
        caught.value.task_id,
    )
    assert ended == returned


async def test_modal_ends_the_wait_at_once() -> None:
    """MODAL never moves by itself: it is raised at once, also where failures are returned."""
    for raise_on_failure in (True, False):
        with pytest.raises(errors.TaskNeedsInputError) as caught:
            await finish(Script([task("MODAL")]), raise_on_failure=raise_on_failure)
        assert "MODAL" == caught.value.task.status  # type: ignore[union-attr]
    assert 0 == anyio.current_time()


@pytest.mark.parametrize("status", ["", "PAUSED", "success", "FINISHED"])
async def test_an_unknown_status_is_not_final(status: str) -> None:
    """A word that is not known is waited on, even at 100 %."""
    poll = Script([task(status, "100%"), task("SUCCESS")])

    await finish(poll)

    assert [0, 3] == poll.at


async def test_a_success_without_a_picture_is_asked_once_more() -> None:
    """The picture may come a moment after the SUCCESS; it is asked for once, after 2 s."""
    poll = Script([task("SUCCESS", image_url=""), task("SUCCESS", image_url="https://cdn/1")])
    still_without = Script([task("SUCCESS", image_url="")])

    seen = await finish(poll)
    started = anyio.current_time()
    without = await finish(still_without)

    assert ("https://cdn/1", [0, 2]) == (seen.image_url, poll.at)
    assert ("", [0, 2]) == (without.image_url, [at - started for at in still_without.at])


@pytest.mark.parametrize(
    "second", [RESET, task("IN_PROGRESS"), errors.AuthenticationError(status_code=401)], ids=str
)
async def test_a_success_stays_one(second: Any) -> None:
    """What comes after a SUCCESS does not take it back."""
    assert "SUCCESS" == (await finish(Script([task("SUCCESS", image_url=None), second]))).status


async def test_a_success_is_not_lost_at_the_deadline() -> None:
    """Where the time is over before the second look, the first one counts."""
    poll = Script([task("SUCCESS", image_url=None)])

    assert "SUCCESS" == (await finish(poll, timeout=1.0)).status
    assert 1.0 == anyio.current_time()


@pytest.mark.parametrize(
    "fields",
    [
        {"action": "DESCRIBE"},
        {"action": "SHORTEN"},
        {"action": "PIC_READER"},
        {"image_urls": ("https://cdn/1",)},
        {"video_url": "https://cdn/1.mp4"},
        {"video_urls": ("https://cdn/1.mp4",)},
    ],
    ids=str,
)
async def test_a_success_that_needs_no_picture_is_enough(fields: dict[str, Any]) -> None:
    """Texts, single pictures and videos are results, too."""
    poll = Script([task("SUCCESS", image_url=None, **fields)])

    await finish(poll)

    assert [0] == poll.at


async def test_the_timeout_is_the_whole_wait() -> None:
    """At its end the wait is over, with the last task, even within a poll."""
    between, within = Script([task("IN_PROGRESS", "40%")]), Script([task()], lasting=7.0)

    with pytest.raises(errors.WaitTimeoutError) as caught:
        await finish(between, timeout=20.0)
    started = anyio.current_time()
    with pytest.raises(TimeoutError, match="no poll found it"):
        await finish(within, timeout=5.0)

    assert (20.0, "40%", 5) == (
        caught.value.elapsed,
        caught.value.task.progress_text,  # type: ignore[union-attr]
        caught.value.polls,
    )
    assert 5.0 == anyio.current_time() - started


async def test_a_poll_is_not_begun_at_the_deadline() -> None:
    """The deadline comes before a poll of the same instant."""
    poll = Script([task()])

    with pytest.raises(errors.WaitTimeoutError):
        await finish(poll, timeout=3.0)

    assert [0] == poll.at


async def test_temporary_errors_are_absorbed() -> None:
    """A failed poll is not a failed task, and a good one resets the count."""
    faults = [
        RESET,
        errors.RequestTimeoutError("slow"),
        errors.ServerError(status_code=502),
        errors.UnexpectedAnswerError("cut short"),
        errors.UnexpectedAnswerError("other task"),
    ]
    poll = Script([*faults, task(), *faults, task("SUCCESS")])

    seen = await finish(poll, polling=Polling(jitter=0, max_consecutive_errors=6))

    assert seen.succeeded
    assert 12 == len(poll.at)


async def test_the_last_error_explains_a_timeout() -> None:
    """A wait that saw only faults ends with its timeout, and the last fault as the cause."""
    with pytest.raises(errors.WaitTimeoutError) as caught:
        await finish(Script([RESET]), timeout=10.0)

    assert caught.value.__cause__ is RESET
    assert caught.value.last_error is RESET


async def test_too_many_errors_in_a_row_end_the_wait() -> None:
    """The 30th failed poll in a row is raised."""
    poll = Script([RESET])

    with pytest.raises(errors.TransportError, match="reset"):
        await finish(poll, timeout=None)

    assert 30 == len(poll.at)


async def test_a_429_is_no_error_of_the_gateway() -> None:
    """429s are not counted, and their Retry-After is slept out, at most a tenth longer."""
    limited = errors.RateLimitError(status_code=429, retry_after=100.0)
    plain = errors.RateLimitError(status_code=429)
    poll = Script([limited, plain, plain, task("SUCCESS")])

    await finish(poll, polling=Polling(jitter=0, max_consecutive_errors=1))

    assert 100.0 <= poll.at[1] <= 110.0
    assert 4 == len(poll.at)


async def test_a_retry_after_beyond_the_deadline_times_out() -> None:
    """Where the deadline does not allow the sleep, the wait times out and asks no more."""
    poll = Script([errors.RateLimitError(status_code=429, retry_after=3600.0)])

    with pytest.raises(errors.WaitTimeoutError):
        await finish(poll, timeout=60.0)

    assert [0] == poll.at
    assert 60.0 == anyio.current_time()


@pytest.mark.parametrize(
    "error",
    [
        errors.AuthenticationError(status_code=401),
        errors.PermissionDeniedError(status_code=403),
        errors.TransportError("bad certificate", temporary=False),
        errors.ClientStateError("closed"),
        errors.UnexpectedAnswerError("too large"),
    ],
    ids=str,
)
async def test_what_will_not_change_ends_the_wait_at_once(error: errors.MJError) -> None:
    """A refused key, a 403 and the like are raised at the first poll."""
    poll = Script([error])

    with pytest.raises(type(error)):
        await finish(poll, known_good=True)

    assert [0] == poll.at


@pytest.mark.parametrize(
    "error",
    [
        PAGE,
        errors.UnexpectedAnswerError("redirect"),
        errors.UnsupportedError(status_code=404),
        errors.APIError(status_code=400, code=4),
    ],
    ids=str,
)
async def test_a_wrong_base_url_ends_the_wait_until_something_worked(
    error: errors.MJError,
) -> None:
    """A page, a redirect, an unknown route: final before the first good answer only."""
    with pytest.raises(type(error)):
        await finish(Script([error]), known_good=False)

    assert (await finish(Script([error, task("SUCCESS")]), known_good=True)).succeeded


async def test_an_unknown_id_has_a_grace() -> None:
    """Once an id has been unknown for 10 s, one more poll ends the wait."""
    poll = Script([MISSING])

    with pytest.raises(errors.TaskNotFoundError):
        await finish(poll)

    assert [0, 3, 6.9, 10] == pytest.approx(poll.at)


async def test_other_failures_do_not_hurry_after_the_grace() -> None:
    """Only an unknown id is looked at just when the grace ends; a reset then waits its turn."""
    poll = Script([MISSING, MISSING, RESET, RESET, RESET, task("SUCCESS")])

    assert (await finish(poll, polling=Polling(factor=2, max_interval=100, jitter=0))).succeeded

    assert [0, 3, 9, 21, 45, 93] == pytest.approx(poll.at)


async def test_the_grace_begins_anew_when_the_task_was_seen() -> None:
    """A task that vanishes for a moment is not lost."""
    poll = Script([MISSING, MISSING, MISSING, task(), MISSING, MISSING, task("SUCCESS")])

    assert (await finish(poll)).succeeded


async def test_a_task_that_stands_still_is_given_up() -> None:
    """stall_timeout ends the wait when status and progress stand still; a change resets it."""
    polling = Polling(interval=10.0, factor=1.0, jitter=0, stall_timeout=25.0)
    poll = Script([task(progress="10%"), task(progress="10%"), task(progress="20%")])

    with pytest.raises(errors.TaskStalledError) as caught:
        await finish(poll, polling=polling)

    assert [0, 10, 20, 30, 40, 50] == poll.at
    assert 20 == caught.value.task.progress  # type: ignore[union-attr]


async def test_on_update_is_called_for_changes_only() -> None:
    """It is called when status or progress differ, not when a preview's URL does."""
    seen: list[Task] = []
    answers = [
        task(progress="10%", image_url="http://localhost/1?rand=1"),
        task(progress="10%", image_url="http://localhost/1?rand=2"),
        task(progress="20%"),
        task("SUCCESS", "100%"),
    ]

    await finish(Script(list(answers)), on_update=seen.append)

    assert [answers[0], answers[2], answers[3]] == seen


async def test_on_update_may_be_slow_and_is_not_cut() -> None:
    """What it returns is awaited in the waiter's task; changes meanwhile are skipped."""
    poll = Script([task(progress="10%"), task(progress="90%"), task("SUCCESS")])
    seen: list[tuple[float, int | None]] = []

    async def slow(update: Task) -> None:
        await anyio.sleep(50.0)
        seen.append((anyio.current_time(), update.progress))

    await finish(poll, on_update=slow, timeout=None)
    with pytest.raises(errors.WaitTimeoutError):
        await finish(Script([task()]), on_update=slow, timeout=10.0)

    assert [0, 50, 100] == poll.at
    assert [(50, 10), (100, 90), (150, None), (200, None)] == seen


async def test_a_watch_gives_each_change_and_the_end() -> None:
    """Iterating gives changes, a FAILURE last and without an error, and then it is over."""
    poll = Script([task(progress="1%"), task(progress="1%"), task("FAILURE", "100%")])
    watch = watch_on(poll)

    seen = [update.status async for update in watch]

    assert ["IN_PROGRESS", "FAILURE"] == seen
    with pytest.raises(StopAsyncIteration):
        await anext(watch)


async def test_a_watch_that_raised_is_over() -> None:
    """After an error there is nothing more to iterate, and nothing is asked."""
    watch = watch_on(Script([task("MODAL")]))

    with pytest.raises(errors.TaskNeedsInputError):
        await anext(watch)
    with pytest.raises(StopAsyncIteration):
        await anext(watch)


async def test_a_cancelled_watch_goes_on() -> None:
    """One look that was cancelled does not end the iteration."""
    poll = Script([task(progress="1%")] * 3 + [task("SUCCESS")])
    watch = watch_on(poll)
    await anext(watch)

    with anyio.move_on_after(4.0) as scope:
        await anext(watch)

    assert scope.cancelled_caught
    assert (await anext(watch)).succeeded


def test_nothing_has_elapsed_before_the_first_look() -> None:
    """A wait begins when it is first asked."""
    assert 0.0 == watch_on(Script([task()])).elapsed


async def test_a_success_is_not_lost_by_a_look_that_was_cancelled() -> None:
    """A cancelled look at a SUCCESS without a picture is made again."""
    watch = watch_on(Script([task("SUCCESS", image_url=None)]), timeout=None)
    with anyio.move_on_after(1.0) as scope:
        await anext(watch)

    assert scope.cancelled_caught
    assert (await anext(watch)).succeeded
