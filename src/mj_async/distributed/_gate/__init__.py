"""A rate limit that processes share: each takes time slots from one hash in Redis."""
