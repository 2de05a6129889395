"""Many machines: what they share lies in Redis. It needs the extra `distributed`."""

from ._shared_gate import SharedGate

__all__ = ["SharedGate"]
