"""The pytest plugin of mj_async: the fixture `mj_gateway`.

If mj_async is installed, every run of pytest imports this module. It is not inside the package, so
that only tests that use the fixture import the package.
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
