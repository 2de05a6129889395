"""What a real browser does with the gallery. `nox -s browser` runs it; `nox -s tests` does not."""
