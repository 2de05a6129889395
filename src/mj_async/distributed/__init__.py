"""Many machines: what they share lies in Redis. It needs the extra `distributed`."""

__all__: list[str] = []
