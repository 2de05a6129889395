"""image_seed and its two forms, the attempts of a call, and the id in its errors."""

from __future__ import annotations

import anyio
import httpx
import pytest
from _answers import (
    NOT_FOUND,
    ONCE,
    PAGE,
    SPRING_404,
    by_path,
    envelope,
    found,
)

from _fakes import Wire, client_on
from mj_async import Dialect, RetryPolicy, Task, errors

pytestmark = pytest.mark.anyio
BEARER = Dialect(auth="bearer")


class TestSeed:
    """image_seed: the path, the documented form, and what is not there."""

    async def test_a_task_that_carries_its_seed_costs_nothing(self) -> None:
        """A Task with a seed is answered without a request, one without is asked for by id."""
        wire = Wire(
            by_path(
                fetch=found(seed="5"), seed=httpx.Response(200, json={"code": 1, "result": "7"})
            )
        )
        async with client_on(wire) as client:
            task = await client.fetch_task("1")
            seed = await client.image_seed(task)
            asked = await client.image_seed(Task("2"))

        assert ("5", "list", task) == (seed.seed, seed.source, seed.task)
        assert ("7", "image-seed", "2") == (asked.seed, asked.source, asked.task_id)
        assert 2 == len(wire.requests)

    @pytest.mark.parametrize(
        "missing", [SPRING_404, httpx.Response(404), httpx.Response(405), PAGE],
        ids=["Spring's 404", "an empty 404", "405", "a page"],
    )  # fmt: skip
    async def test_the_documented_form_where_there_is_no_path(
        self, missing: httpx.Response
    ) -> None:
        """Only where the path's route does not exist the documented form is asked, and kept."""

        def answer(request: httpx.Request) -> httpx.Response:
            documented = request.url.raw_path == b"/mj/task//image-seed"
            return found("1", seed="0") if documented else missing

        wire = Wire(answer)
        async with client_on(wire) as client:
            seeds = [await client.image_seed("1") for _ in range(2)]

        assert [("0", "documented")] * 2 == [(seed.seed, seed.source) for seed in seeds]
        assert 3 == len(wire.requests)

    async def test_neither_form(self) -> None:
        """Where neither form exists, the error is that of the path."""
        wire = Wire(lambda request: PAGE if request.content else SPRING_404)
        async with client_on(wire) as client:
            with pytest.raises(errors.UnsupportedError) as caught:
                await client.image_seed("1")

        assert (404, "1", 2) == (caught.value.status_code, caught.value.task_id, len(wire.requests))

    async def test_pages_before_a_good_answer_are_no_missing_routes(self) -> None:
        """Maintenance hides both forms; afterwards they are tried anew."""
        answers = iter([PAGE, PAGE, SPRING_404, found("1", seed="5")])
        async with client_on(Wire(lambda _: next(answers)), dialect=BEARER) as client:
            with pytest.raises(errors.UnexpectedAnswerError):
                await client.image_seed("1")
            seed = await client.image_seed("1")

        assert ("5", "documented") == (seed.seed, seed.source)

    async def test_another_fault_of_the_documented_form_is_its_own(self) -> None:
        """A documented answer about another task is refused, not taken for a missing route."""
        wire = Wire(lambda request: found("2") if request.content else SPRING_404)
        async with client_on(wire) as client:
            with pytest.raises(errors.UnexpectedAnswerError, match="another task"):
                await client.image_seed("1")

    @pytest.mark.parametrize(
        ("answer", "error"),
        [
            (envelope(404, 0), errors.UnsupportedError),
            (envelope(404, 3, "关联任务不存在或已失效"), errors.TaskNotFoundError),
            (NOT_FOUND, errors.TaskNotFoundError),
            (envelope(200, 3, "未找到 seed"), errors.SeedUnavailableError),
            (envelope(400, 4, "关联任务状态错误"), errors.SeedUnavailableError),
            (found("2"), errors.UnexpectedAnswerError),
            (httpx.Response(200, text='{"code": 1'), errors.UnexpectedAnswerError),
        ],
        ids=["relayed", "unknown", "task_no_found", "code 3", "code 4", "other task", "cut short"],
    )
    async def test_an_answer_of_the_route_is_no_missing_route(
        self, answer: httpx.Response, error: type[errors.MJError]
    ) -> None:
        """Whatever answers on the path is the answer: the documented form is not asked."""
        wire = Wire(lambda _: answer)
        async with client_on(wire, retry=ONCE) as client:
            with pytest.raises(error) as caught:
                await client.image_seed("1")

        assert ("1", 1) == (caught.value.task_id, len(wire.requests))

    async def test_a_seedless_answer_proves_the_path(self) -> None:
        """After an envelope on the path, a missing route is believed at once."""
        answers = iter([httpx.Response(200, json={"code": 9, "description": "late"}), SPRING_404])
        wire = Wire(lambda _: next(answers))
        async with client_on(wire) as client:
            with pytest.raises(errors.SeedUnavailableError):
                await client.image_seed("1")
            with pytest.raises(errors.UnsupportedError):
                await client.image_seed("1")

        assert 2 == len(wire.requests)


class TestTaskIds:
    """Every error about one task names it."""

    @pytest.mark.parametrize(
        "answer",
        [
            httpx.Response(500),
            httpx.Response(401),
            httpx.Response(403),
            httpx.Response(302, headers={"location": "https://elsewhere.test/"}),
            httpx.Response(200, text="{"),
            NOT_FOUND,
            PAGE,
        ],
        ids=["500", "401", "403", "302", "cut short", "unknown", "a page"],
    )
    async def test_an_error_names_its_task(self, answer: httpx.Response) -> None:
        """`task_id` is set on whatever a single call raises."""
        async with client_on(Wire(lambda _: answer), retry=ONCE) as client:
            for call in (client.fetch_task, client.image_seed):
                with pytest.raises(errors.MJError) as caught:
                    await call("1")
                assert "1" == caught.value.task_id

    async def test_a_timeout_of_the_call_names_its_task(self) -> None:
        """Also the call's own timeout knows what it was about."""

        class Silent(httpx.AsyncBaseTransport):
            async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
                await anyio.sleep_forever()
                raise AssertionError(request)

        async with client_on(Silent()) as client:  # type: ignore[arg-type]
            for call in (client.fetch_task, client.image_seed):
                with pytest.raises(errors.RequestTimeoutError, match=r"timeout=0.01 s") as caught:
                    await call("1", timeout=0.01)
                assert "1" == caught.value.task_id
            with pytest.raises(errors.RequestTimeoutError, match=r"timeout=0.01 s") as caught:
                await client.list_tasks(["1", "2"], timeout=0.01)
            assert caught.value.task_id is None


class TestAttempts:
    """`RetryPolicy.attempts` counts for each request of a call."""

    async def test_a_fallback_has_attempts_of_its_own(self) -> None:
        """The documented form is no retry of the path, and is retried like any request."""
        wire = Wire(lambda request: httpx.Response(503) if request.content else SPRING_404)
        retry = RetryPolicy(attempts=2, first_delay=0.0)
        async with client_on(wire, retry=retry) as client:
            with pytest.raises(errors.ServerError):
                await client.image_seed("1")

            assert 1 == client.statistics().retries
        assert [b"/mj/task/1/image-seed"] + [b"/mj/task//image-seed"] * 2 == [
            request.url.raw_path for request in wire.requests
        ]

    async def test_a_request_that_worked_is_not_sent_again(self) -> None:
        """A failure of the check behind a list repeats the check, and not the list."""
        answers = iter([httpx.Response(503), NOT_FOUND])
        wire = Wire(by_path(list=httpx.Response(200, json=[]), fetch=lambda _: next(answers)))
        retry = RetryPolicy(attempts=2, first_delay=0.0)
        async with client_on(wire, dialect=Dialect(ids="json"), retry=retry) as client:
            assert ("1", "2") == (await client.list_tasks(["1", "2"])).missing

        assert ["POST", "GET", "GET"] == [request.method for request in wire.requests]

    async def test_a_list_that_lies_uses_up_its_attempts(self) -> None:
        """Each round is one more attempt of the list."""
        wire = Wire(by_path(list=httpx.Response(200, json=[]), fetch=found("1")))
        retry = RetryPolicy(attempts=3, first_delay=0.0)
        async with client_on(wire, dialect=Dialect(ids="json"), retry=retry) as client:
            with pytest.raises(errors.ServerError, match="knows 1"):
                await client.list_tasks(["1", "2"])

            assert 2 == client.statistics().retries
        assert ["POST", "GET"] * 3 == [request.method for request in wire.requests]

    async def test_an_error_that_passed_is_not_the_calls_error(self) -> None:
        """A request that was sent again with success leaves no error for the call's timeout."""
        answers = iter([httpx.Response(503)])

        class Silent(Wire):
            async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
                if request.method == "GET":
                    await anyio.sleep_forever()
                return await super().handle_async_request(request)

        wire = Silent(by_path(list=lambda _: next(answers, None) or httpx.Response(200, json=[])))
        retry = RetryPolicy(first_delay=0.0)
        async with client_on(wire, dialect=Dialect(ids="json"), retry=retry) as client:
            with pytest.raises(errors.RequestTimeoutError):
                await client.list_tasks(["1", "2"], timeout=0.3)
