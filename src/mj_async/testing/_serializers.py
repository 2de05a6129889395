"""How each gateway writes a task: literal JSON from the gateways page, not from our reader."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._models import Moment

# Links to Discord's CDN die after a day.
_LINKS_LAST = 86_400
_PROMPT = "pig --v 6.1"


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
    issued = (moment.finish_time or 0) // 1000
    signed = f"ex={issued + _LINKS_LAST:x}&is={issued:x}&hm=f6d701"
    return f"https://cdn.example/attachments/{moment.id}.png?{signed}&"


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
        "prompt": _PROMPT,
        "promptEn": _PROMPT,
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
        "properties": _properties(moment),
    }


def _properties(moment: Moment) -> dict[str, Any] | None:
    return {"finalPrompt": _PROMPT, "finalZhPrompt": ""} if moment.succeeded else None


def write_java(moment: Moment, seed: str | None, now: float) -> dict[str, Any]:
    """Write the keys of the original midjourney-proxy, with its nulls."""
    waits = moment.status in ("", "NOT_START")
    return {
        "id": moment.id,
        "properties": {} if waits else dict(_JAVA_PROPERTIES),
        "action": "IMAGINE",
        "status": moment.status,
        "prompt": _PROMPT,
        "promptEn": _PROMPT,
        "description": f"/imagine {_PROMPT}",
        "state": None,
        "submitTime": None if waits else moment.submit_time,
        "startTime": moment.start_time,
        "finishTime": moment.finish_time,
        "imageUrl": _image_url(moment) or None,
        "progress": "" if moment.status == "FAILURE" else moment.progress,
        "failReason": _fail_reason(moment) or None,
    }


_JAVA_PROPERTIES = {
    "finalPrompt": _PROMPT,
    "progressMessageId": "1302547211321741343",
    "flags": 0,
    "messageHash": "3785da15",
    "notifyHook": None,
    "nonce": "1302547",
    "discordInstanceId": "1300842274347028520",
}


def write_csharp(moment: Moment, seed: str | None, now: float) -> dict[str, Any]:
    """Write the keys of the C# gateway; the seed once it is known."""
    image_url = _image_url(moment)
    return {
        **_CSHARP_CONSTANTS,
        **write_java(moment, seed, now),
        "status": moment.status or None,
        "action": "IMAGINE" if moment.status else None,
        "progress": moment.progress if moment.status else None,
        "isCompleted": moment.finish_time is not None,
        "buttons": _buttons(moment),
        "displays": _displays(moment),
        "imageUrls": _image_urls(moment) if image_url else None,
        "seed": seed,
        "mode": "FAST" if moment.status else None,
        "url": image_url or None,
        "useTime": _use_time(moment),
        "properties": {},
    }


def _image_urls(moment: Moment) -> list[dict[str, str | None]]:
    """Give the pictures of the grid; the last has no small one beside it."""
    stem = f"https://cdn.example/attachments/{moment.id}"
    thumbnails = [*(f"{stem}_{n}.webp" for n in range(3)), None]
    return [{"url": f"{stem}_{n}.png", "thumbnail": one} for n, one in enumerate(thumbnails)]


def _displays(moment: Moment) -> dict[str, str | None]:
    times = (moment.submit_time, moment.start_time, moment.finish_time)
    submitted, started, finished = map(_as_text, times)
    return {
        "status": moment.status,
        "submitTime": submitted,
        "startTime": started,
        "finishTime": finished,
        "action": "IMAGINE",
        "discordInstanceId": "1118138338562560102",
    }


def _as_text(milliseconds: int | None) -> str | None:
    if milliseconds is None:
        return None
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d %H:%M:%S}"


def _use_time(moment: Moment) -> str:
    if moment.finish_time is None:
        return "-"
    return f"{(moment.finish_time - moment.submit_time) / 1000:.2f} s"


# What a client has no use for is the same for all tasks.
_CSHARP_CONSTANTS: Mapping[str, Any] = {
    "parentId": None,
    "botType": "MID_JOURNEY",
    "realBotType": None,
    "userId": None,
    "isWhite": False,
    "nonce": "1730621826053",
    "interactionMetadataId": None,
    "messageId": "1302548",
    "remixModalMessageId": None,
    "remixAutoSubmit": False,
    "remixModaling": False,
    "instanceId": "1118138338562560102",
    "subInstanceId": None,
    "messageIds": ["1302548"],
    "promptFull": "**pig --v 6.1**",
    "language": None,
    "baseImageUrl": None,
    "thumbnailUrl": None,
    "hasAIReviewRetried": False,
    "isThirdParty": False,
    "isPartner": False,
    "isPartnerRelax": False,
    "partnerTaskId": None,
    "partnerTaskInfo": None,
    "isOfficial": False,
    "officialTaskId": None,
    "officialTaskInfo": None,
    "isDiscord": True,
    "seedError": None,
    "seedMessageId": None,
    "clientIp": None,
    "jobId": "3785da15",
    "isReplicate": False,
    "replicateSource": None,
    "replicateTarget": None,
    "requestMode": None,
    "accountFilter": {
        "instanceId": None,
        "modes": [],
        "remix": None,
        "nijiRemix": None,
        "remixAutoConsidered": None,
        "remark": None,
    },
    "proxyUrl": None,
    "height": 1024,
    "width": 1024,
    "size": 1500000,
    "contentType": "image/png",
    "imageHeight": None,
    "imageWidth": None,
    "videoGenOriginImageUrl": None,
    "videoDuration": None,
    "frameCount": None,
    "videoUrl": None,
    "videoUrls": None,
    "version": "6.1",
    "storageOption": None,
    "videoType": None,
    "isHdVideo": False,
}


def write_documented(moment: Moment, seed: str | None, now: float) -> dict[str, Any]:
    """Write the 18 keys of the published documents."""
    plain = write_newapi(moment, seed, now)
    return {
        **plain,
        "imageUrl": _image_url(moment),
        "buttons": _buttons(moment),
        "properties": {"finalPrompt": _PROMPT, "finalZhPrompt": ""},
    }
