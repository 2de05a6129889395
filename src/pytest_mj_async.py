"""The pytest plugin of mj_async: the fixture `mj_gateway`.

Every run of pytest imports this, wherever mj_async is installed. It stands beside the package and
not in it, so that only a test that wants the fixture imports the package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from mj_async.testing import FakeGateway


@pytest.fixture
def mj_gateway() -> FakeGateway:
    """A gateway for tests (`mj_async.testing.FakeGateway`), a new one for each test."""
    from mj_async.testing import FakeGateway  # noqa: PLC0415  # see above

    return FakeGateway()
