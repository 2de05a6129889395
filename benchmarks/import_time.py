"""Measure how long imports take, each in a new process, in several rounds.

    python benchmarks/import_time.py [--most RATIO]

With `--most` it exits with 1 if the time of `import mj_async`, divided by the time of its four
dependencies, is above the ratio. It measures CPU time, because the elapsed time depends on the load
of the machine.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys

ROUNDS = 15
DEPENDENCIES = "import anyio, attrs, cattrs, httpx"
DOOR = "import mj_async"
CLIENT = "from mj_async import AsyncMJClient"
TIMED = "import time; begun = time.process_time(); {}; print(time.process_time() - begun)"


def measure(statement: str) -> float:
    """Run an import in a new interpreter, and return its CPU time in seconds."""
    command = [sys.executable, "-c", TIMED.format(statement)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    """Measure, and print the medians."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--most", type=float)
    most = parser.parse_args().most
    taken: dict[str, list[float]] = {DEPENDENCIES: [], DOOR: [], CLIENT: []}
    for _ in range(ROUNDS):
        for statement, times in taken.items():
            times.append(measure(statement))
    medians = {statement: statistics.median(times) for statement, times in taken.items()}
    for statement, median in medians.items():
        ratio = median / medians[DEPENDENCIES]
        print(f"{1000 * median:6.1f} ms  {ratio:.2f}  {statement}")
    if most is not None and medians[DOOR] > most * medians[DEPENDENCIES]:
        sys.exit(f"`{DOOR}` takes more than {most} times as long as its dependencies")


if __name__ == "__main__":
    main()
