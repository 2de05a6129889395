"""Tests that need a real Redis: `nox -s distributed`."""
