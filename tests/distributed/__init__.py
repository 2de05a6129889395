"""What needs a real Redis: `nox -s distributed`."""
