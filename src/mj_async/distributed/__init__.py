"""A rate limit and jobs that processes share through Redis. They need the extra `distributed`."""

from ._gate.shared_gate import SharedGate
from ._job.seed_job import SeedJob
from ._job.state import JobProgress

__all__ = ["JobProgress", "SeedJob", "SharedGate"]
