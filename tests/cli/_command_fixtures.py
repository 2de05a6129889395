"""Fixtures for the command line: gateways on real TCP, and the command in this process."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from anyio.from_thread import start_blocking_portal

from mj_async.cli import main
from mj_async.testing import FakeGateway

from ._commands import Ended


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[FakeGateway], str]]:
    """Serve gateways while the test runs. MJ_BASE_URL and MJ_API_KEY are those of the last one."""
    with start_blocking_portal() as portal, ExitStack() as stack:

        def start(gateway: FakeGateway) -> str:
            base_url = stack.enter_context(portal.wrap_async_context_manager(gateway.serve()))
            monkeypatch.setenv("MJ_BASE_URL", base_url)
            monkeypatch.setenv("MJ_API_KEY", gateway.api_key)
            return base_url

        yield start


@pytest.fixture
def call(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Ended]:
    """Run the command in this process, as its script would."""

    def run(*arguments: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["mj-async", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        assert isinstance(ended.value.code, int)
        out, err = capsys.readouterr()
        return Ended(ended.value.code, out, err)

    return run
