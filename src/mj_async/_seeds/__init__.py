"""Bulk seed lookups: which ids to ask for, when, and what an answer means."""
