"""Waiting for tasks: when to poll, what an answer means, and one poll for many waits."""
