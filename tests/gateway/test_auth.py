"""How the key is sent, and how that is found out."""

from __future__ import annotations

from typing import Any

import anyio
import httpx
import pytest
from _answers import (
    NOT_FOUND,
    ONCE,
    found,
    keys_tried,
)

from _fakes import Wire, client_on
from mj_async import Dialect, errors

pytestmark = pytest.mark.anyio


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
        """The calls that waited share the refusal, each with its own id."""
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
