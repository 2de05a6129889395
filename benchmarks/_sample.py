"""One measurement in a separate process: `python _sample.py KIND BASE_URL NAME ARGUMENTS…`.

It prints the figure as JSON. A separate process keeps the imports, the memory and the caches of one
measurement away from the next one.
"""

from __future__ import annotations

import asyncio
import json
import sys


def measure(kind: str, base_url: str, name: str, *numbers: int) -> object:
    """Return the figure of one sample."""
    if kind == "decoding":
        import _decoding  # noqa: PLC0415  # it imports no httpx, and disables orjson

        return _decoding.decoding(name, *numbers)
    import _fetching  # noqa: PLC0415
    import _listing  # noqa: PLC0415
    import _waiting  # noqa: PLC0415

    count = 500 if numbers == (1,) else 2000
    runs = {
        "burst": lambda: _fetching.burst(base_url, name, *numbers),
        "cold": lambda: _fetching.fetches(base_url, name, *numbers, count, warm=False),
        "warm": lambda: _fetching.fetches(base_url, name, *numbers, count, warm=True),
        "waits": lambda: _waiting.waits(base_url, name, *numbers),
        "memory": lambda: _waiting.idle_memory(base_url, name),
        "lists": lambda: _listing.lists(base_url, name),
        "gets": lambda: _listing.gets(base_url, name, *numbers),
    }
    return asyncio.run(runs[kind]())


if __name__ == "__main__":
    kind, base_url, name, *numbers = sys.argv[1:]
    print(json.dumps(measure(kind, base_url, name, *map(int, numbers))))
