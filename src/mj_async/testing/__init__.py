"""A fake gateway for tests: in process on a virtual clock, or on real TCP."""

from ._gateway import FakeGateway
from ._models import FakeRequest, FakeWebhook

__all__ = ["FakeGateway", "FakeRequest", "FakeWebhook"]
