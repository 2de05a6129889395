"""The three calls and the dialect: what is found out, and what is remembered."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import anyio
import httpx
import pytest

from _fakes import Wire, client_on
from mj_async import Dialect, RetryPolicy, Task, errors

pytestmark = pytest.mark.anyio

ONCE = RetryPolicy(attempts=1)
PAGE = httpx.Response(200, html="<!doctype html><title>new-api</title>")
NOT_UNDERSTOOD = httpx.Response(415, json={"status": 415, "error": "Unsupported Media Type"})
NOT_FOUND = httpx.Response(
    400, json={"description": "task_no_found ", "type": "upstream_error", "code": 4}
)
SPRING_404 = httpx.Response(404, json={"status": 404, "error": "Not Found", "path": "/mj/x"})
Answers = Callable[[httpx.Request], httpx.Response]


def wire_task(task_id: str = "1", **fields: Any) -> dict[str, Any]:
    """Write a task as a gateway does."""
    return {"id": task_id, "status": "SUCCESS", "progress": "100%", **fields}


def found(task_id: str = "1", **fields: Any) -> httpx.Response:
    """Answer with a task."""
    return httpx.Response(200, json=wire_task(task_id, **fields))


def envelope(status: int, code: int, description: str = "") -> httpx.Response:
    """Answer image-seed without a seed."""
    body = {"code": code, "description": description, "properties": None, "result": ""}
    return httpx.Response(status, json=body)


def json_ids(request: httpx.Request) -> list[str]:
    """Read the ids of a JSON request."""
    ids: list[str] = json.loads(request.content)["ids"]
    return ids


def is_multipart(request: httpx.Request) -> bool:
    """Whether the ids come as the documents show."""
    return request.headers["content-type"].startswith("multipart/form-data")


def by_path(**answers: Answers | httpx.Response) -> Answers:
    """Answer by the last segment of the path: fetch, list, seed."""

    def answer(request: httpx.Request) -> httpx.Response:
        last = request.url.path.rpartition("/")[2]
        name = {"list-by-condition": "list", "image-seed": "seed"}.get(last, last)
        given = answers[name]
        return given(request) if callable(given) else given

    return answer


def keys_tried(wire: Wire) -> list[str]:
    """Name the headers that carried the key, in order."""
    tried = []
    for request in wire.requests:
        given = request.headers.get("authorization", "")
        tried.append("mj-api-secret" if not given else given.split(" ")[0])
    return tried


class TestAuthentication:
    """How the key is sent, and how that is found out."""

    @pytest.mark.parametrize(
        ("header", "value", "requests"),
        [
            ("authorization", "Bearer sk-key", 1),
            ("mj-api-secret", "sk-key", 2),
            ("authorization", "sk-key", 3),
        ],
    )
    async def test_a_scheme_is_found_out_and_remembered(
        self, header: str, value: str, requests: int
    ) -> None:
        """On a 401 the next scheme is tried, one header at a time, and the right one is kept."""

        def answer(request: httpx.Request) -> httpx.Response:
            assert ("authorization" in request.headers) != ("mj-api-secret" in request.headers)
            right = request.headers.get(header) == value
            return found() if right else httpx.Response(401)

        wire = Wire(answer)
        async with client_on(wire) as client:
            await client.fetch_task("1")
            await client.fetch_task("1")

        assert requests + 1 == len(wire.requests)

    async def test_a_bad_key_costs_three_requests_and_says_the_first_refusal(self) -> None:
        """Where no scheme is accepted, the error is that of the documented scheme."""

        def answer(request: httpx.Request) -> httpx.Response:
            is_bearer = request.headers.get("authorization", "").startswith("Bearer ")
            return httpx.Response(401, text="bearer refused" if is_bearer else "other refused")

        wire = Wire(answer)
        async with client_on(wire) as client:
            with pytest.raises(errors.AuthenticationError, match="bearer refused"):
                await client.fetch_task("1")

        assert ["Bearer", "mj-api-secret", "sk-key"] == keys_tried(wire)

    @pytest.mark.parametrize("auth", ["bearer", "raw", "mj-api-secret"])
    async def test_an_explicit_scheme_is_not_argued_with(self, auth: Any) -> None:
        """With an explicit scheme a bad key costs one request."""
        wire = Wire(lambda _: httpx.Response(401))
        async with client_on(wire, dialect=Dialect(auth=auth)) as client:
            with pytest.raises(errors.AuthenticationError):
                await client.fetch_task("1")

        expected = {"bearer": "Bearer", "raw": "sk-key"}.get(auth, auth)
        assert [expected] == keys_tried(wire)

    async def test_no_key_where_none_is_needed(self) -> None:
        """With auth="none" no key is asked for, and none is sent."""
        wire = Wire(lambda _: found())
        async with client_on(wire, api_key=None, dialect=Dialect(auth="none")) as client:
            await client.fetch_task("1")

        headers = wire.requests[0].headers
        assert "authorization" not in headers
        assert "mj-api-secret" not in headers

    @pytest.mark.parametrize("proof", [found(), NOT_FOUND], ids=["a task", "an unknown id"])
    async def test_after_a_first_success_a_401_is_final(self, proof: httpx.Response) -> None:
        """A quota that runs out is a 401, too: the other schemes are not tried then."""
        answers = iter([proof, httpx.Response(401)])
        wire = Wire(lambda _: next(answers))
        async with client_on(wire) as client:
            if proof is NOT_FOUND:
                with pytest.raises(errors.TaskNotFoundError):
                    await client.fetch_task("1")
            else:
                await client.fetch_task("1")
            with pytest.raises(errors.AuthenticationError):
                await client.fetch_task("1")

        assert ["Bearer", "Bearer"] == keys_tried(wire)

    async def test_one_call_finds_out_while_the_others_wait(self) -> None:
        """A hundred calls at once try the wrong schemes once, and not a hundred times."""

        def answer(request: httpx.Request) -> httpx.Response:
            right = request.headers.get("authorization") == "sk-key"
            return found() if right else httpx.Response(401)

        wire = Wire(answer)
        async with client_on(wire) as client, anyio.create_task_group() as group:
            for _ in range(100):
                group.start_soon(client.fetch_task, "1")

        assert 102 == len(wire.requests)

    async def test_a_bad_key_costs_a_crowd_three_requests(self) -> None:
        """Whoever waited for the search shares its refusal, under its own id."""
        wire = Wire(lambda _: httpx.Response(401))
        refused: set[str | None] = set()

        async def ask(task_id: str) -> None:
            with pytest.raises(errors.AuthenticationError) as caught:
                await client.fetch_task(task_id)
            refused.add(caught.value.task_id)

        async with client_on(wire) as client, anyio.create_task_group() as group:
            for number in range(50):
                group.start_soon(ask, f"{number}")

        assert 3 == len(wire.requests)
        assert {f"{number}" for number in range(50)} == refused

    async def test_a_failed_search_lets_the_others_go_on(self) -> None:
        """A fault says nothing about the key, and the others do not queue behind it."""
        answers = iter([httpx.Response(403)])
        wire = Wire(lambda _: next(answers, None) or found())
        async with client_on(wire, retry=ONCE) as client, anyio.create_task_group() as group:

            async def fail() -> None:
                with pytest.raises(errors.PermissionDeniedError):
                    await client.fetch_task("1")

            group.start_soon(fail)
            await anyio.lowlevel.checkpoint()
            for _ in range(9):
                group.start_soon(client.fetch_task, "1")

        assert 10 == len(wire.requests)

    async def test_finding_out_is_no_retry(self) -> None:
        """The three schemes are one attempt, also where no retry is allowed."""
        answers = iter([httpx.Response(401), httpx.Response(401), found()])
        async with client_on(Wire(lambda _: next(answers)), retry=ONCE) as client:
            assert "1" == (await client.fetch_task("1")).id

    async def test_a_key_in_a_200_is_refused_like_a_401(self) -> None:
        """Webman refuses a key with 200 and code 403, and takes mj-api-secret."""

        def answer(request: httpx.Request) -> httpx.Response:
            refused = {"code": 403, "msg": "403 Api Secret 错误", "taskId": None, "data": []}
            right = request.headers.get("mj-api-secret") == "sk-key"
            return found() if right else httpx.Response(200, json=refused)

        async with client_on(Wire(answer)) as client:
            assert "1" == (await client.fetch_task("1")).id

    async def test_a_cancelled_finder_leaves_the_way_free(self) -> None:
        """When the call that finds out is cancelled, another finds out."""
        wire = Wire(lambda _: found())
        async with client_on(wire) as client:
            with anyio.CancelScope() as scope:
                scope.cancel()
                await client.fetch_task("1")
            assert scope.cancelled_caught
            assert "1" == (await client.fetch_task("1")).id


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
            with pytest.raises(errors.RequestTimeoutError, match=r"timeout=0.01 s") as caught:
                await client.fetch_task("1", timeout=0.01)

        assert "1" == caught.value.task_id


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
