"""A fake Discord behind aiohttp, so that all of discord.py runs."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from collections.abc import Callable, Iterable
from typing import Any

import aiohttp
import discord
import h11
from aiohttp.client_proto import ResponseHandler

BOT = {"id": "1", "username": "bot", "discriminator": "0", "avatar": None, "bot": True}
ADA = {"id": "7", "username": "ada", "discriminator": "0", "avatar": None}
APPLICATION: dict[str, Any] = {
    "id": "1",
    "name": "bot",
    "icon": None,
    "description": "",
    "bot_public": True,
    "bot_require_code_grant": False,
    "verify_key": "",
    "flags": 0,
    "owner": ADA,
}
GUILD, CHANNEL, DIRECT = "80", "70", "71"
TOKEN_LIFE = 15 * 60
_MESSAGE: dict[str, Any] = {
    "author": BOT,
    "timestamp": "2026-01-01T00:00:00+00:00",
    "edited_timestamp": None,
    "tts": False,
    "mention_everyone": False,
    "type": 0,
    "pinned": False,
    "flags": 0,
    **{name: [] for name in ("mentions", "mention_roles", "attachments", "embeds", "components")},
}
_BY_TOKEN = re.compile(r"/webhooks/1/(?P<interaction>\d+)-token/messages/@original")
_CALLBACK = re.compile(r"/interactions/(?P<interaction>\d+)/[^/]+/callback")
_AS_BOT = re.compile(rf"/channels/{CHANNEL}/messages/(?P<message>\d+)")


class FakeDiscord:
    """A fake Discord, which records all texts of all messages and builds interactions.

    Args:
        now: The time by which the tokens of interactions run out.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self.requests: list[tuple[float, str, str, dict[str, Any]]] = []
        self.bot_sees_channel = True
        self.refusals: list[int] = []
        self._now = now
        self._created_at: dict[str, float] = {}
        self._texts: dict[str, list[tuple[float, str]]] = {}
        self._ids = itertools.count(1000)
        self.buttons: dict[str, list[str]] = {}

    def answer(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        """Answer a request as Discord does."""
        self.requests.append((self._now(), method, path, body))
        if path.startswith(("/webhooks", "/channels")) and self.refusals:
            return self.refusals.pop(0), {"code": 0, "message": "no"}
        if found := _CALLBACK.match(path):
            return 200, self._acknowledge(found["interaction"])
        if found := _BY_TOKEN.match(path):
            return self._edit_by_token(found["interaction"], body)
        if found := _AS_BOT.match(path):
            return self._edit_as_bot(found["message"], body)
        return 200, self._answer_other(path, body)

    def _answer_other(self, path: str, body: dict[str, Any]) -> Any:
        if path == f"/channels/{DIRECT}/messages":
            return self._write(DIRECT, body, DIRECT)
        known: dict[str, Any] = {
            "/users/@me": BOT,
            "/oauth2/applications/@me": APPLICATION,
            "/applications/1/commands": [],
            "/users/@me/channels": {"id": DIRECT, "type": 1, "recipients": [ADA]},
        }
        return known[path]

    @staticmethod
    def _acknowledge(number: str) -> dict[str, Any]:
        return {"interaction": {"id": number, "type": 2, "response_message_id": number}}

    def _edit_by_token(self, number: str, body: dict[str, Any]) -> tuple[int, Any]:
        if self._now() - self._created_at[number] >= TOKEN_LIFE:
            return 401, {"code": 50027, "message": "Invalid Webhook Token"}
        return 200, self._write(f"9{number}", body)

    def _edit_as_bot(self, number: str, body: dict[str, Any]) -> tuple[int, Any]:
        if not self.bot_sees_channel:
            return 403, {"code": 50001, "message": "Missing Access"}
        return 200, self._write(number, body)

    def _write(self, number: str, body: dict[str, Any], channel: str = CHANNEL) -> dict[str, Any]:
        self._texts.setdefault(number, []).append((self._now(), body["content"]))
        rows = body.get("components") or []
        self.buttons[number] = [one["custom_id"] for row in rows for one in row["components"]]
        return {"id": number, "channel_id": channel, **_MESSAGE, "content": body["content"]}

    def history(self, number: str = "91000") -> list[str]:
        """Return the texts of a message; the default is that of the first interaction."""
        return [text for _, text in self._texts.get(number, [])]

    def edited_at(self, number: str = "91000") -> list[float]:
        """Return the times of a message's edits."""
        return [at for at, _ in self._texts.get(number, [])]

    def last_texts(self) -> list[str]:
        """Return the last text of each message."""
        return [texts[-1][1] for texts in self._texts.values()]

    def edit_routes(self) -> list[str]:
        """Return how messages were edited, by token or as the bot, without repetitions."""
        edits = [path.split("/")[1] for _, method, path, _ in self.requests if method == "PATCH"]
        return [way for way, _ in itertools.groupby(edits)]

    def replies(self) -> list[Any]:
        """Return the first answers to interactions: a type, and a text if there is one."""
        bodies = [body for _, _, path, body in self.requests if _CALLBACK.match(path)]
        return [(body["type"], (body.get("data") or {}).get("content")) for body in bodies]

    def command(self, task_id: str) -> dict[str, Any]:
        """Build an interaction: Ada sends `/wait`."""
        option = {"name": "task_id", "type": 3, "value": task_id}
        data = {"id": "5", "name": "wait", "type": 1, "options": [option]}
        return self._interaction(type=2, data=data)

    def press(self, number: str = "91000", user: dict[str, Any] = ADA) -> dict[str, Any]:
        """Build an interaction: a user presses the button below a message."""
        (custom_id,) = self.buttons[number]
        message = {"id": number, "channel_id": CHANNEL, **_MESSAGE, "content": ""}
        data = {"custom_id": custom_id, "component_type": 2}
        return self._interaction(user=user, type=3, data=data, message=message)

    def _interaction(self, user: dict[str, Any] = ADA, **content: Any) -> dict[str, Any]:
        number = str(next(self._ids))
        self._created_at[number] = self._now()
        member: dict[str, Any] = {
            "user": user,
            "roles": [],
            "joined_at": None,
            "flags": 0,
            "permissions": "0",
        }
        return {
            "id": number,
            "application_id": "1",
            "token": f"{number}-token",
            "version": 1,
            "guild_id": GUILD,
            "channel": {"id": CHANNEL, "type": 0, "name": "art", "position": 0},
            "channel_id": CHANNEL,
            "member": {**member, "permissions": "0", "deaf": False, "mute": False},
            "locale": "en-US",
            "attachment_size_limit": 0,
            "authorizing_integration_owners": {},
            "entitlements": [],
            **content,
        }


class FakeConnector(aiohttp.BaseConnector):
    """An aiohttp connector to the fake Discord in this process."""

    def __init__(self, fake: FakeDiscord) -> None:
        super().__init__(limit=0)
        self._fake = fake

    async def _create_connection(self, *_: Any) -> ResponseHandler:
        protocol = ResponseHandler(asyncio.get_running_loop())
        protocol.connection_made(_Transport(protocol, self._fake))
        return protocol


class _Transport(asyncio.Transport):
    def __init__(self, protocol: ResponseHandler, fake: FakeDiscord) -> None:
        super().__init__()
        self._protocol = protocol
        self._fake = fake
        self._closing = False
        self._http = h11.Connection(h11.SERVER)
        self._request: h11.Request | None = None
        self._body = b""

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        self._closing = True
        self._protocol.connection_lost(None)

    def abort(self) -> None:
        self.close()

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        self.write(b"".join(bytes(one) for one in list_of_data))

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._http.receive_data(bytes(data))
        while (event := self._http.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
            if isinstance(event, h11.Request):
                self._request, self._body = event, b""
            elif isinstance(event, h11.Data):
                self._body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                self._answer()

    def _answer(self) -> None:
        assert self._request is not None
        path = self._request.target.decode().partition("?")[0].removeprefix("/api/v10")
        given = json.loads(self._body or b"{}")
        body = given if isinstance(given, dict) else {"list": given}
        status, content = self._fake.answer(self._request.method.decode(), path, body)
        answer = json.dumps(content).encode()
        headers = [("content-type", "application/json"), ("content-length", str(len(answer)))]
        parts = [
            self._http.send(h11.Response(status_code=status, headers=headers)),
            self._http.send(h11.Data(data=answer)),
            self._http.send(h11.EndOfMessage()),
        ]
        self._http.start_next_cycle()
        raw = b"".join(part or b"" for part in parts)
        asyncio.get_running_loop().call_soon(self._protocol.data_received, raw)


def dispatch(bot: discord.Client, interaction: dict[str, Any]) -> None:
    """Deliver an interaction as Discord's gateway does."""
    bot._connection.parsers["INTERACTION_CREATE"](interaction)
