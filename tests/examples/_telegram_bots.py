"""Both Telegram bots, run by their frameworks with a fake Telegram in place of the network."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from types import TracebackType
from typing import Any, Self

import aiogram
from aiogram.client.session.base import BaseSession
from aiogram.methods import TelegramMethod
from telegram.ext import Application
from telegram.request import BaseRequest, RequestData

import aiogram_bot
import telegram_bot
from mj_async import AsyncMJClient

from ._telegram import TOKEN, FakeTelegram, read_parameters


class OfflineRequest(BaseRequest):
    """The HTTP client of python-telegram-bot."""

    def __init__(self, telegram: FakeTelegram) -> None:
        self._telegram = telegram

    @property
    def read_timeout(self) -> float:
        """The time limit, which is not used."""
        return 5.0

    async def initialize(self) -> None:
        """Do nothing."""

    async def shutdown(self) -> None:
        """Do nothing."""

    async def do_request(
        self, url: str, method: str, request_data: RequestData | None = None, *_: Any, **__: Any
    ) -> tuple[int, bytes]:
        """Answer a call."""
        await asyncio.sleep(0)
        parameters = request_data.parameters if request_data else {}
        answer = await self._telegram.answer(url.rpartition("/")[2], read_parameters(parameters))
        return answer.get("error_code", 200), json.dumps(answer).encode()


class OfflineSession(BaseSession):
    """The HTTP client of aiogram."""

    def __init__(self, telegram: FakeTelegram) -> None:
        super().__init__()
        self.closed = False
        self._telegram = telegram

    async def close(self) -> None:
        """Record the close."""
        self.closed = True

    async def make_request(
        self, bot: aiogram.Bot, method: TelegramMethod[Any], timeout: int | None = None
    ) -> Any:
        """Answer a call."""
        for _ in range(5):  # longer than it takes aiogram to close this
            await asyncio.sleep(0)
        if self.closed:
            raise RuntimeError("the session is closed")
        parameters = read_parameters(method.model_dump(mode="json", exclude_defaults=True))
        answer = await self._telegram.answer(method.__api_method__, parameters)
        status = answer.get("error_code", 200)
        return self.check_response(bot, method, status, json.dumps(answer)).result

    async def stream_content(self, *_: Any, **__: Any) -> AsyncGenerator[bytes, None]:
        """Yield nothing, for the bots download nothing."""
        yield b""


class RunningTelegramBot:
    """`telegram_bot.py`, started and stopped as `run_polling` does."""

    def __init__(self, telegram: FakeTelegram, midjourney: AsyncMJClient) -> None:
        request = OfflineRequest(telegram)
        builder = Application.builder().token(TOKEN).request(request)
        self.bot = telegram_bot.make_bot(builder.get_updates_request(request), midjourney)

    async def __aenter__(self) -> Self:
        assert self.bot.updater is not None
        assert self.bot.post_init is not None
        await self.bot.initialize()
        await self.bot.post_init(self.bot)
        await self.bot.updater.start_polling()
        await self.bot.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        assert self.bot.updater is not None
        await self.bot.updater.stop()
        await self.bot.stop()
        await self.bot.shutdown()


class RunningAiogramBot:
    """`aiogram_bot.py`, run by `start_polling`."""

    def __init__(self, telegram: FakeTelegram, midjourney: AsyncMJClient) -> None:
        self._session = OfflineSession(telegram)
        self._bot = aiogram_bot.make_bot(TOKEN, session=self._session)
        self._dispatcher = aiogram_bot.make_dispatcher(midjourney)

    async def __aenter__(self) -> Self:
        polling = self._dispatcher.start_polling(self._bot, handle_signals=False)
        self._running = asyncio.create_task(polling)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        await self._dispatcher.stop_polling()
        await self._running

        assert self._session.closed
