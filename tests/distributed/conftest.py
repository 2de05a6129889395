"""A real Redis: one that tests share, or one for a single test that kills it or changes it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from mj_async.distributed import SeedJob

from ._redis_server import RedisServer


def pytest_configure(config: pytest.Config) -> None:
    """Ignore a warning: coredis does not close the streams of failed and cancelled connections."""
    config.addinivalue_line("filterwarnings", "ignore:Unclosed <MemoryObject:ResourceWarning")


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """Return a running Redis for one test."""
    server = RedisServer(tmp_path / "redis")
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Return a running Redis that tests share."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def make_job(redis: RedisServer) -> Callable[..., SeedJob]:
    """Return a function that creates a SeedJob; all calls of a test use the same name."""
    name = f"test.{uuid.uuid4().hex}"
    return partial(SeedJob, redis.url, name, chunk_size=10)
