"""A rate limit that processes share: each takes its slots from one hash in Redis."""
