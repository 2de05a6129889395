"""Faults 20 and 21: odd values of Retry-After; on virtual time, and on real sockets."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import anyio
import httpx
import pytest
from _http_server import BEARER, KEY, ONCE, HTTPServer, RawResponse, client_of, on_asyncio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from mj_async import AsyncMJClient, RetryPolicy, errors
from mj_async.testing import FakeGateway

pytestmark = pytest.mark.anyio

NOW = "Sun, 06 Nov 1994 08:49:37 GMT"
LONG = "7" * 10_000_000


def gateway_that_refuses(value: str, date: str | None = None) -> FakeGateway:
    """Build a gateway whose first answer is a 429 with this Retry-After."""
    gateway = FakeGateway()
    gateway.add_task("1", [(0, "SUCCESS", "100%")])
    written_by = {} if date is None else {"date": date}
    gateway.fail_next(1, 429, {"retry-after": value, **written_by})
    return gateway


async def hold_after(gateway: FakeGateway) -> float:
    """Return the seconds between the 429 and the next request."""
    async with gateway.client() as client:
        await client.fetch_task("1", timeout=None)
    first, second = gateway.requests
    return second.at - first.at


@on_asyncio
@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("Sun, 06 Nov 1994 08:50:07 GMT", 30.0),
        ("Sun, 06 Nov 1994 10:50:07 +0200", 30.0),
        ("Sun, 06 Nov 1994 08:50:07", 30.0),  # no zone
        ("Sun, 06 Nov 1994 08:50:07 -0000", 30.0),
        ("Sunday, 06-Nov-94 08:50:07 GMT", 30.0),
        ("Sun Nov  6 08:50:07 1994", 30.0),
        (NOW, 0.0),
        ("Sun, 06 Nov 1994 08:00:00 GMT", 0.0),  # past
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("Sun, 99 Nov 1994 08:49:37 GMT", 0.5),
        ("Sun, 06 Nov", 0.5),
        ("tomorrow", 0.5),
        ("", 0.5),
    ],
)
async def test_fault_20_a_date_is_read_by_the_clock_that_wrote_it(
    value: str, seconds: float
) -> None:
    """A Retry-After date counts from the answer's Date; a malformed date is ignored."""
    hold = await hold_after(gateway_that_refuses(value, NOW))

    assert seconds <= hold <= 1.1 * seconds + 1e-6


@on_asyncio
@pytest.mark.parametrize("date", ["garbage", "Fri, 31 Dec 9999 23:59:59 -2359", ""])
async def test_fault_20_an_unreadable_date_header_is_no_clock(date: str) -> None:
    """If the Date is malformed, a Retry-After date counts from the client's time of day."""
    gateway = gateway_that_refuses("Thu, 01 Jan 1970 00:00:00 GMT", date)

    assert await hold_after(gateway) == 0.0


@pytest.mark.parametrize(
    "anyio_backend", [("trio", {"clock": MockClock(autojump_threshold=0)})], ids=["virtual"]
)
async def test_fault_20_without_date_our_time_of_day_counts() -> None:
    """Without a Date, a Retry-After date counts from the client's time of day."""
    at: list[float] = []

    def answer(request: httpx.Request) -> httpx.Response:
        at.append(anyio.current_time())
        if len(at) > 1:
            return httpx.Response(200, json={"id": "1", "status": "SUCCESS"})
        until = datetime.now(UTC) + timedelta(seconds=30)
        return httpx.Response(429, headers={"retry-after": format_datetime(until)})

    http_client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    async with AsyncMJClient(
        KEY, base_url="https://gateway.test", http_client=http_client
    ) as client:
        await client.fetch_task("1")

    assert 28.0 <= at[1] - at[0] <= 33.0


@on_asyncio
@pytest.mark.parametrize(
    "value", ["Fri, 31 Dec 9999 23:59:59 GMT", "Sun, 06 Nov 1994 08:51:38 GMT"]
)
async def test_fault_20_a_far_date_raises_at_once(value: str) -> None:
    """A date beyond max_retry_after raises without a sleep, up to the year 9999."""
    gateway = gateway_that_refuses(value, NOW)
    with pytest.raises(errors.RateLimitError) as caught:
        await hold_after(gateway)

    assert (0.0, 1, 429) == (gateway.now, len(gateway.requests), caught.value.status_code)
    assert (caught.value.retry_after or 0) > 120


@on_asyncio
@pytest.mark.parametrize(
    "value", ["NaN", "nan", "inf", "-inf", "-1", "-0.5", "1e9", "1_0", "0x10", "5 s", "5;", LONG],
    ids=lambda value: value[:8],
)  # fmt: skip
async def test_fault_21_what_is_no_number_is_ignored(value: str) -> None:
    """NaN, infinity, negatives, exponents and ten megabytes of digits are ignored."""
    hold = await hold_after(gateway_that_refuses(value))

    assert 0.5 <= hold <= 0.55 + 1e-6


@on_asyncio
@pytest.mark.parametrize("value", ["121", "120.1", "1000000000", "999999999999999"])
async def test_fault_21_a_long_number_raises_at_once(value: str) -> None:
    """A number above max_retry_after raises without a sleep, and the error has it."""
    gateway = gateway_that_refuses(value)
    with pytest.raises(errors.RateLimitError) as caught:
        await hold_after(gateway)

    assert (0.0, 1, float(value)) == (gateway.now, len(gateway.requests), caught.value.retry_after)


@on_asyncio
@pytest.mark.parametrize(("value", "seconds"), [("0", 0), ("0.25", 0.25), (" 7 ", 7), ("120", 120)])
async def test_fault_21_a_number_is_slept(value: str, seconds: float) -> None:
    """The call sleeps for a number up to max_retry_after, and up to a tenth longer."""
    hold = await hold_after(gateway_that_refuses(value))

    assert seconds <= hold <= 1.1 * seconds + 1e-6


DATES = st.datetimes().map(lambda at: format_datetime(at.replace(tzinfo=UTC), usegmt=True))
PRINTABLE = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40)
NUMBERS = st.one_of(st.integers(), st.floats()).map(str)


@given(value=st.one_of(PRINTABLE, NUMBERS, DATES), date=st.one_of(st.none(), PRINTABLE, DATES))
def test_fault_21_no_header_makes_a_call_sleep_for_hours(value: str, date: str | None) -> None:
    """With any headers, a 429 costs at most two minutes, or raises RateLimitError."""
    gateway = gateway_that_refuses(value, date)
    raised: errors.RateLimitError | None = None
    hold = 0.0
    try:
        hold = asyncio.run(hold_after(gateway))
    except errors.RateLimitError as error:
        raised = error

    assert 0.0 <= hold <= 132.0
    assert raised is None or (429, True) == (raised.status_code, (raised.retry_after or 0) > 120)


@on_asyncio
@pytest.mark.parametrize(
    "headers",
    [
        b"Retry-After: 5\r\nRetry-After: 7\r\n",
        b"Retry-After: 5, 5\r\n",
        b"Retry-After: \xff\xfe\r\n",
        b"Retry-After: \xb2\r\n",  # a superscript two, which int() would not read either
        b"Retry-After:\r\n",
    ],
)
async def test_fault_21_two_headers_or_bytes_are_none(headers: bytes) -> None:
    """Two headers, or bytes that are no text, do not hide the 429."""
    with HTTPServer(RawResponse(b"busy", 429, headers)) as server:
        async with client_of(server, retry=ONCE) as client:
            with pytest.raises(errors.RateLimitError) as caught:
                await client.fetch_task("1")

    assert (429, None, "busy") == (
        caught.value.status_code,
        caught.value.retry_after,
        caught.value.description,
    )


async def test_fault_21_a_header_of_ten_megabytes_is_an_error_of_ours() -> None:
    """A header of ten megabytes is not read to its end."""
    headers = b"Retry-After: " + LONG.encode() + b"\r\n"
    with HTTPServer(RawResponse(b"busy", 429, headers)) as server:
        async with client_of(server, retry=ONCE) as client:
            with anyio.fail_after(5), pytest.raises(errors.TransportError) as caught:
                await client.fetch_task("1")

    assert len(str(caught.value)) < 500


async def test_fault_21_a_503_may_say_when_too() -> None:
    """A 503 with a short Retry-After sleeps for it, and with a long one raises."""
    gateway = FakeGateway()
    gateway.add_task("1", [(0, "SUCCESS", "100%")])
    async with gateway.client() as client:
        gateway.fail_next(1, 503, {"retry-after": "7"})
        await client.fetch_task("1")
        gateway.fail_next(1, 503, {"retry-after": "121"})
        with pytest.raises(errors.ServerError) as caught:
            await client.fetch_task("1")

    first, second, third = (request.at for request in gateway.requests)
    assert 7.0 <= second - first <= 7.7
    assert (second, 121.0) == (third, caught.value.retry_after)


async def test_fault_21_a_sleep_that_passes_the_deadline_is_not_begun() -> None:
    """A call raises at once if the hold is longer than its timeout."""
    gateway = FakeGateway()
    gateway.add_task("1", [(0, "SUCCESS", "100%")], seed="5")
    gateway.fail_next(1, 429, {"retry-after": "100"})

    async with gateway.client(dialect=BEARER, max_connections=1) as client:
        async with anyio.create_task_group() as group:
            group.start_soon(client.image_seed, "1")
            while not gateway.requests:
                await anyio.lowlevel.checkpoint()
            with pytest.raises(errors.RateLimitError):
                await client.image_seed("1", timeout=10)
            raised_at = gateway.now

    assert 0.0 == raised_at


async def test_fault_21_max_retry_after_may_be_nothing() -> None:
    """With max_retry_after=0 every 429 with a Retry-After raises at once."""
    gateway = FakeGateway()
    gateway.fail_next(1, 429, {"retry-after": "1"})
    async with gateway.client(retry=RetryPolicy(max_retry_after=0)) as client:
        with pytest.raises(errors.RateLimitError):
            await client.fetch_task("1")

    assert 0.0 == gateway.now
