"""Waiting for tasks: when to poll, what an answer means, one poll for many waits."""
