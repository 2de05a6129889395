"""The plots of the docs: the cost of a fetch by the number at once, of a poll by the waits."""

from __future__ import annotations

import statistics
from pathlib import Path

from _targets import AT_ONCE, WAITS, Round, Sample

# Visible on white and on black, and for colour-blind readers (Okabe and Ito).
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#808080")
GREY = "#808080"


def draw(rounds: list[Round], directory: Path, clients: list[str], ways: list[str]) -> None:
    """Draw both plots."""
    directory.mkdir(parents=True, exist_ok=True)
    fetches = {name: [("warm", name, count) for count in AT_ONCE] for name in clients}
    _draw(rounds, directory / "fetches.svg", fetches, "fetches at once")
    waits = {name: [("waits", name, count) for count in WAITS] for name in ways}
    _draw(rounds, directory / "waits.svg", waits, "waits at once")


def _draw(rounds: list[Round], file: Path, lines: dict[str, list[Sample]], over: str) -> None:
    import matplotlib as mpl  # noqa: PLC0415  # only --plots needs it

    mpl.use("svg")
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "mj_async", "font.size": 11})
    from matplotlib import pyplot as plt  # noqa: PLC0415

    figure, axes = plt.subplots(figsize=(7.5, 4.5))
    for (name, samples), colour in zip(lines.items(), COLOURS, strict=False):
        points = [
            (int(sample[-1]), statistics.median(one[sample] for one in rounds))
            for sample in samples
            if all(sample in one for one in rounds)
        ]
        width = 3 if name.startswith("mj_async") else 1.5
        axes.plot(*zip(*points, strict=True), "o-", label=name, color=colour, linewidth=width)
    axes.set(xscale="log", yscale="log", xlabel=over, ylabel="CPU each, µs")
    axes.set_xticks([int(count) for count in AT_ONCE], AT_ONCE)
    axes.grid(alpha=0.3)
    axes.tick_params(colors=GREY, which="both")
    axes.xaxis.label.set_color(GREY)
    axes.yaxis.label.set_color(GREY)
    for spine in axes.spines.values():
        spine.set_color(GREY)
    axes.legend(frameon=False, labelcolor=GREY, loc="center left", bbox_to_anchor=(1, 0.5))
    figure.savefig(file, transparent=True, bbox_inches="tight", metadata={"Date": None})
    plt.close(figure)
