"""How a request gets there and back: connections, retries, rate limits."""
