"""Many machines: what they share lies in Redis. It needs the extra `distributed`."""

from ._job import SeedJob
from ._shared_gate import SharedGate
from ._state import JobProgress

__all__ = ["JobProgress", "SeedJob", "SharedGate"]
