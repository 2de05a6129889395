"""A fake Telegram for both libraries."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

USER = {"id": 7, "is_bot": False, "first_name": "Ada"}
CHAT = {"id": 70, "type": "private", "first_name": "Ada"}
BOT = {"id": 1, "is_bot": True, "first_name": "Bot", "username": "the_bot"}
TOKEN = "1:fake"


class FakeTelegram:
    """A fake Telegram, which records all texts of all messages and sends updates.

    Args:
        now: The time that is written down with each call.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self.calls: list[tuple[float, str, dict[str, Any]]] = []
        self.refusals: list[dict[str, Any]] = []
        self._now = now
        self._texts: dict[int, list[tuple[float, str]]] = {}
        self._last_message = 100
        self._last_update = 0
        self._updates: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def answer(self, method: str, parameters: dict[str, Any]) -> dict[str, Any]:
        """Answer a call; a call for updates waits for one."""
        if method != "getUpdates":
            return self.call(method, parameters)
        # One without a time limit is python-telegram-bot's last, which forgets what it has got.
        updates = [await self._updates.get()] if parameters.get("timeout") else []
        return {"ok": True, "result": updates}

    def call(self, method: str, parameters: dict[str, Any]) -> dict[str, Any]:
        """Answer a call as Telegram does."""
        self.calls.append((self._now(), method, parameters))
        if method.startswith(("send", "edit")) and self.refusals:
            return {"ok": False, **self.refusals.pop(0)}
        writer = {"sendMessage": self._send, "editMessageText": self._edit}.get(method)
        if writer is not None:
            return {"ok": True, "result": writer(parameters)}
        return {"ok": True, "result": BOT if method == "getMe" else True}

    def _send(self, parameters: dict[str, Any]) -> dict[str, Any]:
        self._last_message += 1
        return self._write(self._last_message, parameters["text"])

    def _edit(self, parameters: dict[str, Any]) -> dict[str, Any]:
        return self._write(int(parameters["message_id"]), parameters["text"])

    def _write(self, number: int, text: str) -> dict[str, Any]:
        self._texts.setdefault(number, []).append((self._now(), text))
        return {"message_id": number, "date": 0, "chat": CHAT, "from": BOT, "text": text}

    def history(self, number: int = 101) -> list[str]:
        """Return the texts of a bot's message; the default is the first message."""
        return [text for _, text in self._texts.get(number, [])]

    def last_texts(self) -> list[str]:
        """Return the last text of each message of the bot."""
        return [texts[-1][1] for texts in self._texts.values()]

    def edited_at(self, number: int = 101) -> list[float]:
        """Return the times of the edits of a bot's message."""
        return [at for at, _ in self._texts.get(number, [])]

    def notices(self) -> list[str | None]:
        """Return the answers to pressed buttons."""
        presses = (
            parameters for _, method, parameters in self.calls if method == "answerCallbackQuery"
        )
        return [parameters.get("text") for parameters in presses]

    def methods(self) -> list[str]:
        """Return the methods of all calls, in order."""
        return [method for _, method, _ in self.calls]

    def send_message(self, text: str) -> None:
        """Send a message of the user."""
        length = len(text.split(maxsplit=1)[0])
        entity = {"type": "bot_command", "offset": 0, "length": length}
        message = {"message_id": 1, "date": 0, "chat": CHAT, "from": USER, "text": text}
        self._update(message={**message, "entities": [entity]})

    def press(self, number: int = 101, user_id: int = 7) -> None:
        """Press the button below a message, as a user."""
        message = {"message_id": number, "date": 1, "chat": CHAT, "from": BOT, "text": "…"}
        query = {"id": "5", "from": {**USER, "id": user_id}, "chat_instance": "1", "data": "stop"}
        self._update(callback_query={**query, "message": message})

    def _update(self, **content: Any) -> None:
        self._last_update += 1
        self._updates.put_nowait({"update_id": self._last_update, **content})


def read_parameters(parameters: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters that are set, through JSON as on the wire."""
    known = {name: value for name, value in parameters.items() if value is not None}
    return dict(json.loads(json.dumps(known, default=str)))
