"""Lines as `mj-async seeds` writes them, any number, and always the same."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

_SUBJECTS = (
    "a lighthouse on a cliff at dusk, long exposure, heavy swell, warm lamp against cold sky",
    "portrait of an old clockmaker in his workshop, shallow depth of field, tungsten light",
    "isometric cutaway of a mountain observatory, gouache, muted palette",
    "a single red umbrella in a crowd seen from above, rain, 35mm film grain",
    "botanical plate of an imaginary fern, ink and watercolour on aged paper",
    "低多边形风格的山谷村庄，清晨薄雾，柔和的光线",
    "brutalist library overgrown with ivy, overcast, architectural photography",
    "fox asleep in a drawer of maps",
)
_RATIOS = ("1:1", "3:2", "16:9", "2:3", "9:16")
_ERRORS = (
    ("TaskNotFoundError", "the gateway does not know this task", ""),
    ("TaskFailedError", "Banned prompt detected: the request was refused by moderation", "FAILURE"),
    ("SeedUnavailableError", "code 4: the gateway has no seed for this task", "SUCCESS"),
)
_EACH_WITHOUT = 16


def lines(count: int, image_url: str) -> Iterator[dict[str, Any]]:
    """Make so many lines.

    Args:
        count: The number of lines.
        image_url: The address of all images, with places for the number and the ratio.
    """
    chance = random.Random(count)
    for number in range(count):
        ratio = chance.choice(_RATIOS)
        yield {
            "task_id": f"1730{chance.randrange(10**6):06}{number:06}",
            "seed": str(chance.randrange(2**32)),
            "source": chance.choice(("list", "image-seed")),
            "status": "SUCCESS",
            "prompt": f"{chance.choice(_SUBJECTS)} --ar {ratio} --v 6.1 --stylize {number % 1000}",
            "image_url": image_url.format(number=number, ratio=ratio),
            "error": None,
            **(_without(chance) if number % _EACH_WITHOUT == _EACH_WITHOUT - 1 else {}),
        }


def _without(chance: random.Random) -> dict[str, Any]:
    kind, message, status = chance.choice(_ERRORS)
    fields: dict[str, Any] = {"seed": None, "source": None, "status": status}
    if status != "SUCCESS":
        fields["image_url"] = None
    if not status:
        fields["prompt"] = None
    return fields | {"error": {"type": kind, "message": message}}


def write_lines(path: Path, values: Iterable[dict[str, Any]]) -> Path:
    """Write a line for each value, as JSON."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for value in values:
            file.write(json.dumps(value) + "\n")
    return path
