"""How each gateway writes a task: literal JSON from the gateways page, not from our reader."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._parts import Moment


def _buttons(moment: Moment) -> list[dict[str, Any]]:
    def button(action: str, label: str, emoji: str = "") -> dict[str, Any]:
        custom_id = f"MJ::JOB::{action}::{moment.id}"
        return {"customId": custom_id, "emoji": emoji, "label": label, "type": 2, "style": 2}

    upscales = [button(f"upsample::{n}", f"U{n}") for n in (1, 2, 3, 4)]
    variations = [button(f"variation::{n}", f"V{n}") for n in (1, 2, 3, 4)]
    return [*upscales, button("reroll::0", "", "🔄"), *variations] if moment.succeeded else []


def _image_url(moment: Moment) -> str:
    if not moment.succeeded:
        return ""
    return f"https://cdn.example/attachments/{moment.id}.png?ex=6728831f&is=6727319f&hm=f6d701&"


def _fail_reason(moment: Moment) -> str:
    return "Banned prompt detected" if moment.status == "FAILURE" else ""


def write_newapi(moment: Moment, seed: str | None, now: float) -> dict[str, Any]:
    """Write the 18 keys of new-api and one-hub; a preview's URL changes at every poll."""
    image_url = _image_url(moment)
    if moment.status == "IN_PROGRESS":
        image_url = f"http://localhost:3000/mj/image/{moment.id}?rand={round(now * 1e9)}"
    return {
        "id": moment.id,
        "action": "IMAGINE",
        "customId": "",
        "botType": "",
        "prompt": "pig --v 6.1",
        "promptEn": "pig --v 6.1",
        "description": "Submit success",
        "state": "",
        "submitTime": moment.submit_time,
        "startTime": moment.start_time or 0,
        "finishTime": moment.finish_time or 0,
        "imageUrl": image_url,
        "status": moment.status,
        "progress": "100%" if moment.status == "FAILURE" else moment.progress,
        "failReason": _fail_reason(moment),
        "buttons": _buttons(moment) or None,
        "maskBase64": "",
        "properties": {"finalPrompt": "pig --v 6.1", "finalZhPrompt": ""},
    }


def write_java(moment: Moment, seed: str | None, now: float) -> dict[str, Any]:
    """Write the keys of the original midjourney-proxy, with its nulls."""
    return {
        "id": moment.id,
        "properties": {"finalPrompt": "pig --v 6.1", "discordInstanceId": "1300842274347028520"},
        "action": "IMAGINE",
        "status": moment.status,
        "prompt": "pig --v 6.1",
        "promptEn": "pig --v 6.1",
        "description": "/imagine pig --v 6.1",
        "state": None,
        "submitTime": moment.submit_time,
        "startTime": moment.start_time,
        "finishTime": moment.finish_time,
        "imageUrl": _image_url(moment) or None,
        "progress": "" if moment.status == "FAILURE" else moment.progress,
        "failReason": _fail_reason(moment) or None,
    }


def write_csharp(moment: Moment, seed: str | None, now: float) -> dict[str, Any]:
    """Write the keys of the C# gateway that a client may meet; the seed once it is known."""
    return {
        **write_java(moment, seed, now),
        "parentId": None,
        "botType": "MID_JOURNEY",
        "realBotType": None,
        "userId": None,
        "nonce": "1730621826053",
        "isCompleted": moment.finish_time is not None,
        "promptFull": None,
        "buttons": _buttons(moment),
        "displays": {"status": moment.status, "action": "IMAGINE"},
        "imageUrls": None,
        "thumbnailUrl": None,
        "seed": seed,
        "seedError": None,
        "mode": "FAST",
        "videoUrl": None,
        "videoUrls": None,
        "useTime": "-",
        "properties": {},
    }


def write_documented(moment: Moment, seed: str | None, now: float) -> dict[str, Any]:
    """Write the 18 keys of the published documents."""
    plain = write_newapi(moment, seed, now)
    return {**plain, "imageUrl": _image_url(moment), "buttons": _buttons(moment)}
