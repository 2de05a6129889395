"""A Telegram bot on aiogram: `/wait ID` shows how a task goes, then its picture and seed.

    python -m pip install mj_async 'aiogram>=3.13'
    export MJ_BASE_URL=https://gateway.example MJ_API_KEY=sk-… TELEGRAM_TOKEN=…
    python aiogram_bot.py

Whoever uses the command has the id of a task that was submitted elsewhere.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
from aiogram import BaseMiddleware, Bot, Dispatcher, F, Router
from aiogram.client.session.middlewares.base import (
    BaseRequestMiddleware,
    NextRequestMiddlewareType,
)
from aiogram.exceptions import AiogramError, TelegramRetryAfter
from aiogram.filters import Command, CommandObject
from aiogram.methods import Response, TelegramMethod
from aiogram.types import (
    BotCommand,
    CallbackQuery,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    Message,
    TelegramObject,
)

from mj_async import AsyncMJClient, Polling, Task, TaskPoller, errors

_log = logging.getLogger(__name__)

# A task is asked about every 5 to 15 seconds, and so is its message edited at most that often.
PACE = Polling(interval=5, max_interval=15)
TIMEOUT = 30 * 60  # seconds
STOP = InlineKeyboardMarkup(
    inline_keyboard=[[InlineKeyboardButton(text="Stop waiting", callback_data="stop")]]
)


class Waits(BaseMiddleware):
    """Knows the running handlers, for aiogram does not wait for them when it stops."""

    def __init__(self) -> None:
        self.handlers: set[asyncio.Task[Any]] = set()
        # By chat and message: what to cancel, and who may do that.
        self.scopes: dict[tuple[int, int], tuple[anyio.CancelScope, int]] = {}

    async def __call__(
        self,
        handler: Callable[[TelegramObject, dict[str, Any]], Awaitable[Any]],
        event: TelegramObject,
        data: dict[str, Any],
    ) -> Any:
        """Run a handler."""
        this = asyncio.current_task()
        assert this is not None
        self.handlers.add(this)
        try:
            return await handler(event, data)
        finally:
            self.handlers.discard(this)


class SleepOutLimits(BaseRequestMiddleware):
    """Sends again what Telegram refuses with 429; a message's newer changes wait meanwhile."""

    async def __call__(
        self,
        make_request: NextRequestMiddlewareType[Any],
        bot: Bot,
        method: TelegramMethod[Any],
    ) -> Response[Any]:
        """Send a request, up to five times."""
        for _ in range(4):
            try:
                return await make_request(bot, method)
            except TelegramRetryAfter as error:
                await asyncio.sleep(error.retry_after)
        return await make_request(bot, method)


async def start(bot: Bot) -> None:
    """Tell Telegram which commands there are, before the first update."""
    await bot.set_my_commands([BotCommand(command="wait", description="Wait for a task: /wait ID")])


async def stop(midjourney: AsyncMJClient, poller: TaskPoller, waits: Waits) -> None:
    """End all waits, and let them say so while Telegram can still be reached."""
    await poller.aclose()
    await midjourney.aclose()
    if waits.handlers:
        await asyncio.wait(waits.handlers, timeout=10)


async def wait(
    asked: Message,
    command: CommandObject,
    midjourney: AsyncMJClient,
    poller: TaskPoller,
    waits: Waits,
) -> None:
    """Answer `/wait ID`."""
    task_id = (command.args or "").strip()
    if not task_id:
        await asked.answer("Say which task: /wait ID")
        return
    reply = await asked.answer(f"Waiting for {task_id[:100]}", reply_markup=STOP)
    key = (reply.chat.id, reply.message_id)
    try:
        with anyio.CancelScope() as scope:
            waits.scopes[key] = (scope, asked.from_user.id if asked.from_user else 0)
            text = await follow(reply, task_id, midjourney, poller)
    finally:
        del waits.scopes[key]
    if scope.cancelled_caught:
        text = f"You have stopped waiting for {task_id}. The task itself goes on."
    await reply.edit_text(text[:4096])


async def follow(
    reply: Message, task_id: str, midjourney: AsyncMJClient, poller: TaskPoller
) -> str:
    """Show how a task goes, and return what is to be said at its end."""

    async def show(text: str) -> None:
        try:
            await reply.edit_text(text[:4096], reply_markup=STOP)
        except AiogramError as error:  # no reason to end the wait
            _log.warning("could not show the progress of %s: %s", task_id, error)

    async def show_progress(task: Task) -> None:
        # Changes during an edit are skipped but for the newest; the answer comes by itself.
        if not task.is_final:
            await show(f"{task.id}: {task.status} {task.progress_text or ''}")

    try:
        task = await poller.wait_for_task(task_id, timeout=TIMEOUT, on_update=show_progress)
        picture = task.image_url or "It has no picture."
        await show(f"{picture}\nLooking up the seed")
        return f"{picture}\n{await find_seed(midjourney, task)}"
    except errors.ClientStateError:
        return f"The bot is being restarted. Say /wait {task_id} again in a minute."
    except errors.MJError as error:
        return str(error)


async def find_seed(midjourney: AsyncMJClient, task: Task) -> str:
    """Look up the seed; the picture is worth showing without it."""
    try:
        return f"Seed: {(await midjourney.image_seed(task)).seed}"
    except errors.MJError as error:
        return f"No seed: {error}"


async def stop_waiting(query: CallbackQuery, waits: Waits) -> None:
    """Answer a press of the button."""
    message = query.message
    found = waits.scopes.get((message.chat.id, message.message_id)) if message else None
    if found is None:
        await query.answer("Nobody waits here any more.")
        return
    scope, user_id = found
    if query.from_user.id != user_id:
        await query.answer("Only who has asked can do that.")
        return
    scope.cancel()
    await query.answer()


def make_dispatcher(midjourney: AsyncMJClient) -> Dispatcher:
    """Build the dispatcher; what is given to it by name, handlers take by name."""
    waits, router = Waits(), Router()
    router.message.register(wait, Command("wait"))
    router.message.middleware(waits)
    router.callback_query.register(stop_waiting, F.data == "stop")
    poller = midjourney.task_poller(polling=PACE)
    dispatcher = Dispatcher(midjourney=midjourney, poller=poller, waits=waits)
    dispatcher.include_router(router)
    dispatcher.startup.register(start)
    dispatcher.shutdown.register(stop)
    return dispatcher


def make_bot(token: str, **options: Any) -> Bot:
    """Build the bot."""
    bot = Bot(token, **options)
    bot.session.middleware(SleepOutLimits())
    return bot


def main() -> None:
    """Run until Ctrl-C or SIGTERM."""
    logging.basicConfig(level=logging.WARNING)
    make_dispatcher(AsyncMJClient()).run_polling(make_bot(os.environ["TELEGRAM_TOKEN"]))


if __name__ == "__main__":
    main()
