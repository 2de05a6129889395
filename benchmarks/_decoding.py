"""Samples of decoding: from a body's bytes to a task.

mj_async is measured by `parse_task`, in a process with orjson or without it. Some versions create
`Task.buttons` when it is first read, so there is a measurement that reads it, too.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

SAMPLES = Path(__file__).parents[1] / "tests/samples"
BODIES = {
    18: SAMPLES / "documented/fetch_winfull.json",
    75: SAMPLES / "csharp/fetch_success.json",
    14: SAMPLES / "java/fetch_success.json",
}
TURNS, CALLS = 9, 3000
Decode = Callable[[bytes], object]


def make_mj_async(*, read_buttons: bool = False, orjson: bool = True) -> Decode:
    """Return mj_async's decoder; mj_async looks for orjson when it is imported."""
    if not orjson:
        sys.modules["orjson"] = None  # type: ignore[assignment]  # as if it were not installed
    from mj_async import parse_task  # noqa: PLC0415

    return (lambda body: parse_task(body).buttons) if read_buttons else parse_task


def make_pydantic() -> Decode:
    """Return a decoder of pydantic that keeps the same: times, buttons, and unknown keys."""
    from pydantic import AliasGenerator, BaseModel, ConfigDict  # noqa: PLC0415
    from pydantic.alias_generators import to_camel  # noqa: PLC0415

    config = ConfigDict(alias_generator=AliasGenerator(validation_alias=to_camel))

    class Button(BaseModel):
        model_config = config
        custom_id: str | None = None
        emoji: str | None = None
        label: str | None = None
        type: int | None = None
        style: int | None = None

    class Task(BaseModel):
        model_config = ConfigDict(**config, extra="allow")
        id: str
        status: str | None = None
        action: str | None = None
        progress: str | None = None
        prompt: str | None = None
        prompt_en: str | None = None
        description: str | None = None
        state: str | None = None
        bot_type: str | None = None
        custom_id: str | None = None
        fail_reason: str | None = None
        image_url: str | None = None
        video_url: str | None = None
        mask_base64: str | None = None
        submit_time: datetime | None = None
        start_time: datetime | None = None
        finish_time: datetime | None = None
        buttons: list[Button] | None = None
        properties: dict[str, Any] | None = None
        seed: str | None = None

    Task.model_rebuild(_types_namespace={"Button": Button, "datetime": datetime, "Any": Any})
    return Task.model_validate_json


def make_msgspec() -> Decode:
    """Return a decoder of msgspec; it drops unknown keys, and does not parse times."""
    import msgspec  # noqa: PLC0415

    names = ["customId", "emoji", "label", "type", "style"]
    button = msgspec.defstruct("Button", [(name, Any, None) for name in names])
    texts = ["id", "status", "action", "progress", "prompt", "promptEn", "description", "state"]
    texts += ["botType", "customId", "failReason", "imageUrl", "videoUrl", "maskBase64", "seed"]
    fields: list[tuple[str, Any, Any]] = [(name, str | None, None) for name in texts]
    fields += [(name, int | None, None) for name in ("submitTime", "startTime", "finishTime")]
    fields += [("buttons", list[button] | None, None), ("properties", Any, None)]  # type: ignore[valid-type]
    return msgspec.json.Decoder(msgspec.defstruct("Task", fields)).decode


def make_orjson() -> Decode:
    """Return orjson's own function."""
    import orjson  # noqa: PLC0415

    return orjson.loads


DECODERS: dict[str, Callable[[], Decode]] = {
    "mj_async": make_mj_async,
    "mj_async, buttons read": lambda: make_mj_async(read_buttons=True),
    "mj_async, stdlib json": lambda: make_mj_async(orjson=False),
    "mj_async, stdlib json, buttons read": lambda: make_mj_async(read_buttons=True, orjson=False),
    "pydantic": make_pydantic,
    "msgspec": make_msgspec,
    "json": lambda: json.loads,
    "orjson": make_orjson,
}


def decoding(name: str, keys: int) -> float:
    """Return the CPU microseconds of one task with that number of keys."""
    decode, body = DECODERS[name](), BODIES[keys].read_bytes()
    assert decode(body) is not None
    times = []
    for _ in range(TURNS):
        started = time.process_time()
        for _ in range(CALLS):
            decode(body)
        times.append((time.process_time() - started) / CALLS * 1e6)
    return statistics.median(times)
