"""Tests of the command `mj-async`."""
