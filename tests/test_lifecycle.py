"""The life of a client, and of what ends with it: one process, one loop, until it is closed."""

from __future__ import annotations

import asyncio

import anyio
import httpx
import pytest

from _fakes import Wire, client_on
from mj_async import errors
from mj_async._clock import Clock
from mj_async._lifecycle import Lifecycle

pytestmark = pytest.mark.anyio


def family() -> tuple[Lifecycle, Lifecycle]:
    """Make a client's life, and that of something which ends with it."""
    parent = Lifecycle(Clock())
    return parent, Lifecycle(Clock(), "poller", parent)


async def test_a_life_goes_on_until_it_is_closed() -> None:
    """After that each use is refused, by the name of what was closed."""
    lifecycle = Lifecycle(Clock(), "poller")
    lifecycle.check()
    lifecycle.check_open()

    assert lifecycle.close()
    for check in (lifecycle.check, lifecycle.check_open):
        with pytest.raises(errors.ClientStateError, match="this poller is closed"):
            check()


async def test_a_child_ends_with_its_parent() -> None:
    """What belongs to a client cannot be used when the client is closed."""
    parent, child = family()
    child.check()
    parent.close()

    for check in (child.check, child.check_open):
        with pytest.raises(errors.ClientStateError, match="this client is closed"):
            check()


async def test_a_parent_outlives_its_child() -> None:
    """Closing what belongs to a client does not close the client."""
    parent, child = family()
    child.close()

    parent.check()
    with pytest.raises(errors.ClientStateError, match="this poller is closed"):
        child.check()


@pytest.mark.parametrize("which", ["parent", "child"])
async def test_closing_either_cuts_what_runs_in_the_child(which: str) -> None:
    """A scope of the child's is cancelled when the child or the client is closed."""
    parent, child = family()
    child.check()
    with anyio.fail_after(2), child.move_on_at(None) as scope:
        (parent if which == "parent" else child).close()
        await anyio.sleep_forever()

    assert scope.cancelled_caught
    assert (set(), set()) == (parent.scopes, child.scopes)


async def test_closing_the_child_cuts_nothing_of_the_parents() -> None:
    """What runs in the client goes on."""
    parent, child = family()
    child.check()
    with parent.move_on_at(None) as scope:
        child.close()
        await anyio.lowlevel.checkpoint()

    assert not scope.cancel_called


async def test_a_scope_ends_at_its_time() -> None:
    """A time of the clock cuts, too; and what has ended is forgotten."""
    parent, child = family()
    with anyio.fail_after(2), child.move_on_at(anyio.current_time() + 0.01) as scope:
        await anyio.sleep_forever()

    assert scope.cancelled_caught
    assert (set(), set()) == (parent.scopes, child.scopes)


def test_without_an_event_loop_nothing_can_be_used() -> None:
    """A use outside of any loop, as in another thread, is refused."""
    with pytest.raises(errors.ClientStateError, match="no event loop runs in this thread"):
        Lifecycle(Clock()).check()


@pytest.mark.parametrize("name", ["client", "poller"])
def test_it_belongs_to_one_loop(name: str) -> None:
    """The loop that used it first is the one; another one is told so."""
    lifecycle = Lifecycle(Clock(), name)

    async def use() -> None:
        lifecycle.check()

    asyncio.run(use())
    with pytest.raises(errors.ClientStateError, match=f"this {name} was used in another"):
        asyncio.run(use())


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_closing_while_calls_queue_is_told_to_each() -> None:
    """Whatever moment the client is closed at, a call has its task or is told so."""
    for turns in range(40):
        client = client_on(
            Wire(lambda _: httpx.Response(200, json={"id": "1", "status": "SUCCESS"})),
            max_connections=1,
        )
        await client.fetch_task("1")
        calls = [asyncio.ensure_future(client.fetch_task("1")) for _ in range(8)]
        for _ in range(turns):
            await asyncio.sleep(0)
        await client.aclose()
        ended = await asyncio.gather(*calls, return_exceptions=True)

        bad = [end for end in ended if isinstance(end, BaseException)]
        assert all(isinstance(end, errors.ClientStateError) for end in bad)


def test_what_runs_elsewhere_is_not_cancelled_from_here() -> None:
    """Scopes belong to the loop that entered them; another one leaves them alone."""
    lifecycle = Lifecycle(Clock())

    async def enter() -> anyio.CancelScope:
        lifecycle.check()
        scope = anyio.CancelScope()
        lifecycle.scopes.add(scope)
        return scope

    async def close() -> bool:
        return lifecycle.close()

    scope = asyncio.run(enter())

    assert not asyncio.run(close())
    assert not scope.cancel_called
