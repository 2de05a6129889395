"""The calls of one gateway, and what this client has found out about it: key, encoding, routes."""
