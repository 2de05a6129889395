"""Tasks as the JSON of each gateway: literally from docs/gateways.md, not from our parser."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._models import TaskSnapshot

# Links to Discord's CDN expire after a day (seconds).
_LINKS_LAST = 86_400
_PROMPT = "pig --v 6.1"


def _buttons(snapshot: TaskSnapshot) -> list[dict[str, Any]]:
    def button(action: str, label: str, emoji: str = "") -> dict[str, Any]:
        custom_id = f"MJ::JOB::{action}::{snapshot.id}"
        return {"customId": custom_id, "emoji": emoji, "label": label, "type": 2, "style": 2}

    upscales = [button(f"upsample::{n}", f"U{n}") for n in (1, 2, 3, 4)]
    variations = [button(f"variation::{n}", f"V{n}") for n in (1, 2, 3, 4)]
    return [*upscales, button("reroll::0", "", "🔄"), *variations] if snapshot.succeeded else []


def _image_url(snapshot: TaskSnapshot) -> str:
    if not snapshot.succeeded:
        return ""
    issued = (snapshot.finish_time or 0) // 1000
    signed = f"ex={issued + _LINKS_LAST:x}&is={issued:x}&hm=f6d701"
    return f"https://cdn.example/attachments/{snapshot.id}.png?{signed}&"


def _fail_reason(snapshot: TaskSnapshot) -> str:
    return "Banned prompt detected" if snapshot.status == "FAILURE" else ""


def serialize_newapi(snapshot: TaskSnapshot, seed: str | None, now: float) -> dict[str, Any]:
    """The 18 keys of new-api and one-hub. The URL of a preview changes with every poll."""
    image_url = _image_url(snapshot)
    if snapshot.status == "IN_PROGRESS":
        image_url = f"http://localhost:3000/mj/image/{snapshot.id}?rand={round(now * 1e9)}"
    return {
        "id": snapshot.id,
        "action": "IMAGINE",
        "customId": "",
        "botType": "",
        "prompt": _PROMPT,
        "promptEn": _PROMPT,
        "description": "Submit success",
        "state": "",
        "submitTime": snapshot.submit_time,
        "startTime": snapshot.start_time or 0,
        "finishTime": snapshot.finish_time or 0,
        "imageUrl": image_url,
        "status": snapshot.status,
        "progress": "100%" if snapshot.status == "FAILURE" else snapshot.progress,
        "failReason": _fail_reason(snapshot),
        "buttons": _buttons(snapshot) or None,
        "maskBase64": "",
        "properties": _properties(snapshot),
    }


def _properties(snapshot: TaskSnapshot) -> dict[str, Any] | None:
    return {"finalPrompt": _PROMPT, "finalZhPrompt": ""} if snapshot.succeeded else None


def serialize_java(snapshot: TaskSnapshot, seed: str | None, now: float) -> dict[str, Any]:
    """The keys of the original midjourney-proxy, with its nulls."""
    waits = snapshot.status in ("", "NOT_START")
    return {
        "id": snapshot.id,
        "properties": {} if waits else dict(_JAVA_PROPERTIES),
        "action": "IMAGINE",
        "status": snapshot.status,
        "prompt": _PROMPT,
        "promptEn": _PROMPT,
        "description": f"/imagine {_PROMPT}",
        "state": None,
        "submitTime": None if waits else snapshot.submit_time,
        "startTime": snapshot.start_time,
        "finishTime": snapshot.finish_time,
        "imageUrl": _image_url(snapshot) or None,
        "progress": "" if snapshot.status == "FAILURE" else snapshot.progress,
        "failReason": _fail_reason(snapshot) or None,
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


def serialize_csharp(snapshot: TaskSnapshot, seed: str | None, now: float) -> dict[str, Any]:
    """The keys of the C# gateway; it has the seed after the first request for it."""
    image_url = _image_url(snapshot)
    return {
        **_CSHARP_CONSTANTS,
        **serialize_java(snapshot, seed, now),
        "status": snapshot.status or None,
        "action": "IMAGINE" if snapshot.status else None,
        "progress": snapshot.progress if snapshot.status else None,
        "isCompleted": snapshot.finish_time is not None,
        "buttons": _buttons(snapshot),
        "displays": _displays(snapshot),
        "imageUrls": _image_urls(snapshot) if image_url else None,
        "seed": seed,
        "mode": "FAST" if snapshot.status else None,
        "url": image_url or None,
        "useTime": _use_time(snapshot),
        "properties": {},
    }


def _image_urls(snapshot: TaskSnapshot) -> list[dict[str, str | None]]:
    # The last picture of the grid has no thumbnail.
    stem = f"https://cdn.example/attachments/{snapshot.id}"
    thumbnails = [*(f"{stem}_{n}.webp" for n in range(3)), None]
    return [{"url": f"{stem}_{n}.png", "thumbnail": one} for n, one in enumerate(thumbnails)]


def _displays(snapshot: TaskSnapshot) -> dict[str, str | None]:
    times = (snapshot.submit_time, snapshot.start_time, snapshot.finish_time)
    submitted, started, finished = map(_as_text, times)
    return {
        "status": snapshot.status,
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


def _use_time(snapshot: TaskSnapshot) -> str:
    if snapshot.finish_time is None:
        return "-"
    return f"{(snapshot.finish_time - snapshot.submit_time) / 1000:.2f} s"


# These keys are the same for all tasks: no client uses them.
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


def serialize_documented(snapshot: TaskSnapshot, seed: str | None, now: float) -> dict[str, Any]:
    """The 18 keys of the published documents."""
    plain = serialize_newapi(snapshot, seed, now)
    return {
        **plain,
        "imageUrl": _image_url(snapshot),
        "buttons": _buttons(snapshot),
        "properties": {"finalPrompt": _PROMPT, "finalZhPrompt": ""},
    }
