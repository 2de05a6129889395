"""The calls of one gateway, and what this client has learnt of it: key, encoding, routes."""
