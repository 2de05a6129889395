"""Under OpenTelemetry's instrumentation of httpx: a span for each request, and no key in any."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from mj_async import AsyncMJClient, RetryPolicy, errors
from mj_async.testing import FakeGateway

pytestmark = pytest.mark.anyio

KEY = "sk-canary-0123456789"
SOON = RetryPolicy(first_delay=0.0)


class Spans:
    """The spans that have ended, in order."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        # Not the global one, so that no other test is traced.
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    @property
    def requests(self) -> list[tuple[Any, ...]]:
        """The method, address and status of each request."""
        clients = [
            one.attributes or {}
            for one in self._exporter.get_finished_spans()
            if one.kind is SpanKind.CLIENT
        ]
        names = ("http.method", "http.url", "http.status_code")
        return [tuple(map(attributes.get, names)) for attributes in clients]

    @property
    def text(self) -> str:
        """All that the spans hold, as it would be exported."""
        return "".join(one.to_json() for one in self._exporter.get_finished_spans())


@pytest.fixture
def spans() -> Iterator[Spans]:
    """Collect spans; no instrumentation outlives the test."""
    spans = Spans()
    yield spans
    spans.provider.shutdown()


@pytest.fixture
def everywhere(spans: Spans) -> Iterator[Spans]:
    """Instrument all of httpx, as `opentelemetry-instrument` does."""
    instrumentor = HTTPXClientInstrumentor()
    instrumentor.instrument(tracer_provider=spans.provider)
    yield spans
    instrumentor.uninstrument()


@pytest.fixture
def gateway() -> FakeGateway:
    """Make a gateway that fails once, and quotes the key while it does."""
    gateway = FakeGateway(api_key=KEY)
    gateway.add_task("1", [(0, "SUCCESS", "100%")])
    gateway.fail_next(1, status=502, body=KEY.encode(), headers={"x-said": KEY})
    return gateway


async def test_each_try_is_a_span(everywhere: Spans, gateway: FakeGateway) -> None:
    """The client's own transports are stock ones, so that instrumenting httpx reaches them."""
    async with gateway.serve() as base_url:
        async with AsyncMJClient(KEY, base_url=base_url, retry=SOON) as client:
            await client.fetch_task("1")
        url = f"{base_url}/mj/task/1/fetch"

    assert [("GET", url, 502), ("GET", url, 200)] == everywhere.requests
    assert KEY not in everywhere.text


async def test_a_client_made_before_is_reached_too(spans: Spans, gateway: FakeGateway) -> None:
    """It does not matter which comes first, the client or the instrumentation."""
    async with gateway.serve() as base_url:
        async with AsyncMJClient(KEY, base_url=base_url, retry=SOON) as client:
            HTTPXClientInstrumentor().instrument(tracer_provider=spans.provider)
            try:
                await client.fetch_task("1")
            finally:
                HTTPXClientInstrumentor().uninstrument()

    assert [502, 200] == [status for _, _, status in spans.requests]


async def test_a_callers_client_is_reached_alone(spans: Spans, gateway: FakeGateway) -> None:
    """`instrument_client` on an http_client of the caller's traces what goes through it."""
    async with httpx.AsyncClient() as http_client, gateway.serve() as base_url:
        HTTPXClientInstrumentor.instrument_client(http_client, tracer_provider=spans.provider)
        async with AsyncMJClient(
            KEY, base_url=base_url, retry=SOON, http_client=http_client
        ) as client:
            await client.fetch_task("1")
        async with AsyncMJClient(KEY, base_url=base_url) as other:
            await other.fetch_task("1")
        url = f"{base_url}/mj/task/1/fetch"

    assert [("GET", url, 502), ("GET", url, 200)] == spans.requests
    assert KEY not in spans.text


async def test_a_callers_client_under_all_of_httpx(everywhere: Spans, gateway: FakeGateway) -> None:
    """A caller's stock client is reached like ours, each try once."""
    async with httpx.AsyncClient() as http_client, gateway.serve() as base_url:
        async with AsyncMJClient(
            KEY, base_url=base_url, retry=SOON, http_client=http_client
        ) as client:
            await client.fetch_task("1")

    assert [502, 200] == [status for _, _, status in everywhere.requests]
    assert KEY not in everywhere.text


async def test_a_gateway_that_is_not_there(everywhere: Spans) -> None:
    """A try without an answer is a span with the fault, and without the key."""
    async with AsyncMJClient(KEY, base_url="http://127.0.0.1:1", retry=SOON) as client:
        with pytest.raises(errors.TransportError):
            await client.fetch_task("1")

    url = "http://127.0.0.1:1/mj/task/1/fetch"
    assert [("GET", url, None)] * 3 == everywhere.requests
    assert "ConnectError" in everywhere.text
    assert KEY not in everywhere.text


async def test_headers_are_captured_without_the_key(
    spans: Spans, gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who has all headers captured keeps the key out by naming those that carry it."""
    prefix = "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS"
    monkeypatch.setenv(f"{prefix}_CLIENT_REQUEST", ".*")
    monkeypatch.setenv(f"{prefix}_SANITIZE_FIELDS", "authorization,mj-api-secret")
    instrumentor = HTTPXClientInstrumentor()
    instrumentor.instrument(tracer_provider=spans.provider)
    try:
        async with gateway.serve() as base_url:
            async with AsyncMJClient(KEY, base_url=base_url, retry=SOON) as client:
                await client.fetch_task("1")
    finally:
        instrumentor.uninstrument()

    assert "[REDACTED]" in spans.text
    assert KEY not in spans.text
