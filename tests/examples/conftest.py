"""Fixtures for the tests of the examples: the frameworks, and a check for leaks."""

from __future__ import annotations

import asyncio
import gc
import logging
import warnings
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

with warnings.catch_warnings():
    # discord.py imports it for voice before Python 3.13, where it has a successor.
    warnings.filterwarnings("ignore", "'audioop' is deprecated", DeprecationWarning)
    import discord  # noqa: F401  # so that the tests find it imported


@pytest_asyncio.fixture
async def nothing_left(caplog: pytest.LogCaptureFixture) -> AsyncIterator[pytest.LogCaptureFixture]:
    """Fail if a task still runs after the test, or if a log record is left."""
    caplog.set_level(logging.WARNING)
    yield caplog
    gc.collect(1)
    for _ in range(5):
        await asyncio.sleep(0)  # the event loop closes what iterators were left

    assert {asyncio.current_task()} == asyncio.all_tasks()
    assert [] == [record.getMessage() for record in caplog.records]
