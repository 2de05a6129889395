"""list_tasks: order, duplicates, missing ids, encodings, answers that lie."""

from __future__ import annotations

import httpx
import pytest
from _answers import (
    NOT_FOUND,
    NOT_UNDERSTOOD,
    ONCE,
    PAGE,
    SPRING_404,
    by_path,
    found,
    is_multipart,
    json_ids,
    wire_task,
)

from _fakes import Wire, client_on
from mj_async import Dialect, RetryPolicy, errors

pytestmark = pytest.mark.anyio


class TestList:
    """list_tasks: order, duplicates, missing ids, encodings, answers that lie."""

    async def test_nothing_is_asked_for_nothing(self) -> None:
        """No ids, no request."""
        wire = Wire(lambda _: PAGE)
        async with client_on(wire) as client:
            tasks = await client.list_tasks([])

        assert (0, (), 0) == (len(tasks), tasks.missing, len(wire.requests))

    async def test_answers_are_put_in_the_order_asked(self) -> None:
        """Any order, unknown ids left out, an id twice, a stranger: all is set right."""
        rows = [
            wire_task("3"),
            wire_task("1", status="IN_PROGRESS", progress="40%"),
            wire_task("1"),
            wire_task("1", status="IN_PROGRESS", progress="90%"),
            wire_task("stranger"),
            None,
        ]
        async with client_on(Wire(lambda _: httpx.Response(200, json=rows))) as client:
            tasks = await client.list_tasks(["1", "2", "3", "1"])

        assert [("1", "SUCCESS"), ("3", "SUCCESS")] == [(one.id, one.status) for one in tasks]
        assert ("2",) == tasks.missing

    async def test_a_hundred_ids_a_call(self) -> None:
        """Ids are split into calls of a hundred, and the answers put together."""
        wire = Wire(
            lambda request: httpx.Response(200, json=[wire_task(one) for one in json_ids(request)])
        )
        ids = [f"{number}" for number in range(250)]
        async with client_on(wire) as client:
            tasks = await client.list_tasks(ids)

        assert ids == [task.id for task in tasks]
        assert [50, 100, 100] == sorted(len(json_ids(request)) for request in wire.requests)

    @pytest.mark.parametrize(
        "refusal",
        [
            httpx.Response(400, json={"code": 4, "description": "do_request_failed "}),
            NOT_UNDERSTOOD,
            httpx.Response(422, json={"detail": "ids missing"}),
            PAGE,
            httpx.Response(200, json=[]),
            httpx.Response(200),
        ],
        ids=["400", "415", "422", "a page", "an empty list", "nothing at all"],
    )
    async def test_json_first_then_multipart_once(self, refusal: httpx.Response) -> None:
        """Where the answer says that JSON was not understood, multipart is tried and kept."""

        def answer(request: httpx.Request) -> httpx.Response:
            rows = [wire_task("1"), wire_task("2")]
            return httpx.Response(200, json=rows) if is_multipart(request) else refusal

        wire = Wire(by_path(list=answer, fetch=NOT_FOUND))
        async with client_on(wire) as client:
            for _ in range(2):
                assert 2 == len(await client.list_tasks(["1", "2"]))

        assert [False, True, True] == [is_multipart(request) for request in wire.requests]

    async def test_json_is_remembered(self) -> None:
        """After JSON has worked, an empty answer is not asked again as multipart."""
        answers = iter([httpx.Response(200, json=[wire_task("1")]), httpx.Response(200, json=[])])
        wire = Wire(by_path(list=lambda _: next(answers), fetch=NOT_FOUND))
        async with client_on(wire) as client:
            await client.list_tasks(["1"])
            tasks = await client.list_tasks(["1", "2"])

        assert ("1", "2") == tasks.missing
        assert 3 == len(wire.requests)

    async def test_the_first_refusal_holds_where_neither_encoding_works(self) -> None:
        """Both encodings refused: the error is the first one's, and two requests were made."""

        def answer(request: httpx.Request) -> httpx.Response:
            return httpx.Response(415 if is_multipart(request) else 400, text="no")

        wire = Wire(answer)
        async with client_on(wire) as client:
            with pytest.raises(errors.APIError) as caught:
                await client.list_tasks(["1"])

        assert (400, 2) == (caught.value.status_code, len(wire.requests))

    async def test_an_empty_json_answer_stands_where_multipart_is_not_understood(self) -> None:
        """`[]` to JSON and a refusal of multipart: JSON it is, and the ids are missing."""
        wire = Wire(
            by_path(
                list=lambda request: (
                    NOT_UNDERSTOOD if is_multipart(request) else httpx.Response(200, json=[])
                ),
                fetch=NOT_FOUND,
            )
        )
        async with client_on(wire) as client:
            for _ in range(2):
                assert ("1", "2") == (await client.list_tasks(["1", "2"])).missing

        encodings = [is_multipart(one) for one in wire.requests if one.method == "POST"]
        assert [False, True, False] == encodings

    @pytest.mark.parametrize("error", [httpx.Response(500), SPRING_404], ids=["500", "404"])
    async def test_a_fault_is_no_misunderstanding(self, error: httpx.Response) -> None:
        """A 500 or a missing route says nothing about the encoding."""
        wire = Wire(lambda _: error)
        async with client_on(wire, retry=ONCE) as client:
            with pytest.raises(errors.APIError):
                await client.list_tasks(["1"])

        assert 1 == len(wire.requests)

    async def test_a_fault_of_the_second_encoding_is_raised(self) -> None:
        """A 500 to multipart is that 500, and no answer to the encoding."""
        wire = Wire(
            lambda request: httpx.Response(500) if is_multipart(request) else NOT_UNDERSTOOD
        )
        async with client_on(wire, retry=ONCE) as client:
            with pytest.raises(errors.ServerError):
                await client.list_tasks(["1"])

    async def test_an_empty_answer_that_lies_is_found_out(self) -> None:
        """`[]` for ids of which one can be fetched: the list call has failed, and is retried."""
        lists = iter([httpx.Response(200, json=[])] * 2)

        def answer(request: httpx.Request) -> httpx.Response:
            rows = [wire_task("1"), wire_task("2")]
            return next(lists, None) or httpx.Response(200, json=rows)

        wire = Wire(by_path(list=answer, fetch=found("1")))
        retry = RetryPolicy(first_delay=0)
        async with client_on(wire, dialect=Dialect(ids="json"), retry=retry) as client:
            tasks = await client.list_tasks(["1", "2"])
        async with client_on(
            Wire(by_path(list=httpx.Response(200, json=[]), fetch=found("1"))), retry=ONCE
        ) as client:
            with pytest.raises(errors.ServerError, match="knows 1"):
                await client.list_tasks(["1", "2"])

        assert 2 == len(tasks)

    async def test_an_array_of_strangers_is_checked_too(self) -> None:
        """A list of none of the ids asked for is no answer."""
        strangers = httpx.Response(200, json=[wire_task("stranger")])
        wire = Wire(by_path(list=strangers, fetch=found("1")))
        async with client_on(wire, retry=ONCE) as client:
            with pytest.raises(errors.ServerError, match="has none of the ids"):
                await client.list_tasks(["1", "2"])

    async def test_a_gateway_that_is_asked_singly_may_lie_as_well(self) -> None:
        """Empty answers to all of several single calls are checked like one to all."""
        lying = False

        def answer(request: httpx.Request) -> httpx.Response:
            return httpx.Response(200, json=[]) if lying else found(json_ids(request)[0])

        wire = Wire(by_path(list=answer, fetch=found("1")))
        async with client_on(wire, retry=ONCE) as client:
            await client.list_tasks(["1", "2"])
            lying = True
            with pytest.raises(errors.ServerError):
                await client.list_tasks(["1", "2"])

    async def test_one_task_without_an_id_is_the_one_asked_for(self) -> None:
        """As fetch does, a list call of one id fills it in."""
        plain = {"status": "SUCCESS", "progress": "100%"}
        async with client_on(Wire(lambda _: httpx.Response(200, json=plain))) as client:
            assert ["1"] == [task.id for task in await client.list_tasks(["1"])]

    @pytest.mark.parametrize(
        ("less", "more"),
        [
            ({"status": "NOT_START"}, {"status": "IN_PROGRESS"}),
            ({"status": "", "progress": "0%"}, {"status": "IN_PROGRESS", "progress": "0%"}),
            ({"status": "FAILURE", "progress": "100%"}, {"status": "SUCCESS", "progress": ""}),
            (
                {"status": "IN_PROGRESS", "progress": "9%"},
                {"status": "IN_PROGRESS", "progress": "10%"},
            ),
        ],
        ids=str,
    )
    async def test_of_two_rows_the_one_that_is_further_on_counts(
        self, less: dict[str, str], more: dict[str, str]
    ) -> None:
        """By status first, for new-api says 100 % of failures; in whatever order they come."""
        for rows in ([less, more], [more, less]):
            answer = httpx.Response(200, json=[{"id": "1", **row} for row in rows])
            async with client_on(Wire(by_path(list=answer))) as client:
                task = (await client.list_tasks(["1"]))["1"]
            assert (more["status"], more.get("progress")) == (task.status, task.progress_text)

    async def test_one_missing_id_needs_no_check(self) -> None:
        """A single id that a list leaves out is missing."""
        wire = Wire(lambda _: httpx.Response(200, json=[]))
        async with client_on(wire) as client:
            assert ("1",) == (await client.list_tasks(["1"])).missing

        assert 1 == len(wire.requests)

    async def test_a_list_that_is_too_large_is_asked_in_halves(self) -> None:
        """Where an answer is over the cap, its halves are asked; a single one is an error."""

        def answer(request: httpx.Request) -> httpx.Response:
            ids = json_ids(request)
            fits = [wire_task(one) for one in ids]
            too_large = b" " * (16 * 2**20 + 1)
            large = len(ids) > 2 or "huge" in ids
            return (
                httpx.Response(200, content=too_large) if large else httpx.Response(200, json=fits)
            )

        wire = Wire(answer)
        async with client_on(wire) as client:
            tasks = await client.list_tasks(["1", "2", "3", "4", "5"])
            with pytest.raises(errors.UnexpectedAnswerError, match="larger"):
                await client.list_tasks(["huge"])

        assert ["1", "2", "3", "4", "5"] == [task.id for task in tasks]
        assert [5, 2, 3, 1, 2, 1] == [len(json_ids(request)) for request in wire.requests]

    async def test_a_gateway_that_answers_one_task_is_asked_singly(self) -> None:
        """One task to several ids, as documented: the others are asked one by one, from then on."""

        def answer(request: httpx.Request) -> httpx.Response:
            first = json_ids(request)[0]
            return httpx.Response(200, json=[]) if first == "9" else found(first)

        wire = Wire(answer)
        async with client_on(wire) as client:
            tasks = await client.list_tasks(["1", "2", "9"])
            again = await client.list_tasks(["3", "4"])

        assert (["1", "2"], ("9",)) == ([task.id for task in tasks], tasks.missing)
        assert ["3", "4"] == [task.id for task in again]
        assert [3, 1, 1, 1, 1] == [len(json_ids(request)) for request in wire.requests]

    async def test_what_had_been_received_is_not_lost(self) -> None:
        """A list call that fails for good raises its error with the tasks of the others."""

        def answer(request: httpx.Request) -> httpx.Response:
            ids = json_ids(request)
            rows = [wire_task(one) for one in ids if one != "5"]
            return httpx.Response(403) if "450" in ids else httpx.Response(200, json=rows)

        async with client_on(Wire(answer)) as client:
            with pytest.raises(errors.PermissionDeniedError) as caught:
                await client.list_tasks([f"{number}" for number in range(500)])

        partial = caught.value.partial
        assert partial is not None
        assert ("5",) == partial.missing
        assert ("0" in partial, "450" in partial) == (True, False)
