"""Compare mj_async with other clients: `python benchmarks`, or `nox -s bench`.

A server in a separate process answers all clients with the same bytes. Each measurement runs in a
new process. The speed of a machine changes over time, so all measurements are repeated in several
rounds, and each ratio is made of two measurements of one round. The output is a table of the
targets (median, least and most of the ratios, and whether the target holds) and a table of the
costs of all clients. `--json FILE` writes all figures, and `--plots DIRECTORY` draws the plots.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from _decoding import DECODERS
from _fetching import CLIENTS
from _plots import draw
from _server import serving
from _targets import AT_ONCE, TARGETS, WAITS, Round, Sample, Target, curves
from _waiting import WAYS
from import_time import measure as measure_import

HERE = Path(__file__).parent
PACKAGES = (
    *("mj_async", "httpx", "httpcore", "anyio", "attrs", "cattrs", "orjson", "sniffio", "aiohttp"),
    *("httpx-aiohttp", "httpx2", "pydantic", "msgspec", "uvloop"),
)


def take(sample: Sample, base_url: str) -> dict[Sample, float]:
    """Measure one sample; a sample of waits has two numbers."""
    kind, name, *numbers = sample
    if kind == "import":
        return {sample: measure_import(name)}
    command = [sys.executable, str(HERE / "_sample.py"), kind, base_url, name, *numbers]
    ended = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found = json.loads(ended.stdout)
    if kind == "waits":
        return {sample: found["cpu"], ("requests", name, *numbers): found["requests"]}
    return {sample: found}


def play(
    targets: list[Target], compared: list[Sample], base_url: str, rounds: int
) -> tuple[dict[Target, list[float]], list[Round]]:
    """Measure everything in each round, in random order.

    The two measurements of a ratio run directly after each other, because the speed of a machine
    changes within minutes.
    """
    values: dict[Target, list[float]] = {target: [] for target in targets}
    costs: list[Round] = []
    for number in range(1, rounds + 1):
        costs.append({})
        jobs: list[Target | Sample] = [*targets, *compared]
        for done, job in enumerate(random.sample(jobs, len(jobs)), 1):
            if isinstance(job, Target):
                values[job].append(job.value(take_all(job.samples, base_url)))
                name = f"row {job.row}, {job.what}: {values[job][-1]:.2f}"
            else:
                costs[-1] |= take(job, base_url)
                name = " ".join(job)
            print(f"round {number} of {rounds}, {done} of {len(jobs)}: {name}", file=sys.stderr)
    return values, costs


def take_all(samples: tuple[Sample, ...], base_url: str) -> Round:
    """Measure samples one after the other."""
    found: dict[Sample, float] = {}
    for sample in random.sample(samples, len(samples)):
        found |= take(("waits", *sample[1:]) if sample[0] == "requests" else sample, base_url)
    return found


def spread(values: list[float], form: str = ".2f") -> str:
    """Format a median with the least and the most."""
    return f"{statistics.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def table_of_targets(found: dict[Target, list[float]]) -> list[str]:
    """Format each target as a line of Markdown."""
    lines = ["| row | what | target | median (least to most) | holds |", "|---|---|---|---|---|"]
    for target, values in found.items():
        form = ".0f" if target.bound >= 10 else ".2f"
        sign, holds = "≥" if target.at_least else "≤", target.holds(statistics.median(values))
        bound = f"{sign} {target.bound:{form}}"
        measured = spread(values, form)
        word = "yes" if holds else "**no**"
        lines.append(f"| {target.row} | {target.what} | {bound} | {measured} | {word} |")
    return lines


def table_of_costs(rounds: list[Round]) -> list[str]:
    """Format the costs of all clients, in microseconds of CPU."""
    lines = [f"| a fetch, by the number at once | {' | '.join(AT_ONCE)} |", "|---" * 5 + "|"]
    lines += [_row(name, [("warm", name, one) for one in AT_ONCE], rounds) for name in CLIENTS]
    lines += [
        "",
        f"| a poll of one task, by the number of waits | {' | '.join(WAITS)} |",
        "|---" * 5 + "|",
    ]
    lines += [_row(name, [("waits", name, one) for one in WAITS], rounds) for name in WAYS]
    lines += ["", "| decoding a task of 18 keys and nine buttons | |", "|---|---|"]
    return lines + [_row(name, [("decoding", name, "18")], rounds, ".1f") for name in DECODERS]


def _row(name: str, samples: list[Sample], rounds: list[Round], form: str = ".0f") -> str:
    cells = [[one[sample] for one in rounds if sample in one] for sample in samples]
    written = [f"{statistics.median(cell):{form}}" if cell else "–" for cell in cells]
    return f"| {name} | {' | '.join(written)} |"


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages."""
    found = {"python": sys.version.split()[0]}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def main() -> None:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--rows", help="only these targets, such as 3,5; without the table of costs"
    )
    parser.add_argument("--json", type=Path, help="write all measurements to this file")
    parser.add_argument("--plots", type=Path, help="draw into this directory")
    options = parser.parse_args()
    rows = options.rows.split(",") if options.rows else None
    targets = [target for target in TARGETS if rows is None or target.row in rows]
    compared = curves([*CLIENTS], [*WAYS], [*DECODERS]) if rows is None else []
    with serving() as base_url:
        values, costs = play(targets, compared, base_url, options.rounds)
    lines = table_of_targets(values) + (["", *table_of_costs(costs)] if compared else [])
    print("\n".join(lines))
    print("\n" + ", ".join(f"{name} {number}" for name, number in versions().items()))
    if options.json is not None:
        ratios = [{"row": one.row, "what": one.what, "values": values[one]} for one in targets]
        rounds = [{" ".join(sample): cost for sample, cost in one.items()} for one in costs]
        found = {"versions": versions(), "targets": ratios, "costs": rounds, "table": lines}
        text = json.dumps(found, indent=1, ensure_ascii=False)
        options.json.write_text(text, encoding="utf-8")
    if options.plots is not None:
        draw(costs, options.plots, [*CLIENTS], [*WAYS])


if __name__ == "__main__":
    main()
