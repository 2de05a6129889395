"""Arguments that the client refuses without a request."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from _fakes import Wire, client_on
from mj_async import AsyncMJClient, Task, errors

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("method", "arguments", "options"),
    [
        ("fetch_task", [""], {}),
        ("fetch_task", [5], {}),
        ("fetch_task", ["1"], {"timeout": 0}),
        ("list_tasks", ["123"], {}),
        ("list_tasks", [["1", "a/b"]], {}),
        ("list_tasks", [["1"]], {"timeout": "1"}),
        ("image_seed", [".."], {}),
        ("image_seed", [Task("")], {}),
        ("image_seed", ["1"], {"timeout": -1}),
        ("wait_for_task", ["1\n"], {}),
        ("wait_for_task", ["1"], {"timeout": float("nan")}),
        ("wait_for_task", ["1"], {"polling": 3}),
        ("wait_for_task", ["1"], {"on_update": 5}),
    ],
    ids=str,
)
async def test_bad_input_is_refused_before_any_request(
    method: str, arguments: list[Any], options: dict[str, Any]
) -> None:
    """A bad argument raises ConfigurationError, and no request is sent."""
    wire = Wire(lambda _: httpx.Response(500))
    async with client_on(wire) as client:
        with pytest.raises(errors.ConfigurationError):
            await getattr(client, method)(*arguments, **options)

    assert [] == wire.requests


async def test_a_watch_is_refused_when_it_is_made() -> None:
    """A bad argument of watch_task raises before the iteration."""
    async with client_on(Wire(lambda _: httpx.Response(500))) as client:
        with pytest.raises(errors.ConfigurationError):
            client.watch_task("a/b")
        with pytest.raises(errors.ConfigurationError):
            client.watch_task("1", timeout=0)


def test_a_proxy_that_would_not_be_used_is_refused() -> None:
    """A proxy beside an http_client is refused, for it would not be used."""
    with pytest.raises(errors.ConfigurationError, match="to your http_client instead"):
        AsyncMJClient(
            "sk-key",
            base_url="https://gateway.test",
            http_client=httpx.AsyncClient(),
            proxy="http://proxy.test",
        )
