"""A Telegram bot with aiogram: `/wait ID` shows a task's progress, then its picture and seed.

    python -m pip install mj_async 'aiogram>=3.13'
    export MJ_BASE_URL=https://gateway.example MJ_API_KEY=sk-… TELEGRAM_TOKEN=…
    python aiogram_bot.py

The user of the command has the id of a task that was submitted by another program.
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

# Each task is polled every 5 to 15 seconds, so its message is edited no more often than that.
PACE = Polling(interval=5, max_interval=15)
TIMEOUT = 30 * 60  # seconds
STOP = InlineKeyboardMarkup(
    inline_keyboard=[[InlineKeyboardButton(text="Stop waiting", callback_data="stop")]]
)


class Waits(BaseMiddleware):
    """The running handlers and their scopes: aiogram does not wait for handlers when it stops."""

    def __init__(self) -> None:
        self.handlers: set[asyncio.Task[Any]] = set()
        # The scope to cancel and the user who may cancel it, by chat id and message id.
        self.scopes: dict[tuple[int, int], tuple[anyio.CancelScope, int]] = {}

    async def __call__(
        self,
        handler: Callable[[TelegramObject, dict[str, Any]], Awaitable[Any]],
        event: TelegramObject,
        data: dict[str, Any],
    ) -> Any:
        """Run a handler, and keep its task in the set while it runs."""
        this = asyncio.current_task()
        assert this is not None
        self.handlers.add(this)
        try:
            return await handler(event, data)
        finally:
            self.handlers.discard(this)


class SleepOutLimits(BaseRequestMiddleware):
    """Repeats requests that Telegram refuses with 429, which aiogram does not do."""

    async def __call__(
        self,
        make_request: NextRequestMiddlewareType[Any],
        bot: Bot,
        method: TelegramMethod[Any],
    ) -> Response[Any]:
        """Send a request up to five times, and sleep before each repetition."""
        for _ in range(4):
            try:
                return await make_request(bot, method)
            except TelegramRetryAfter as error:
                await asyncio.sleep(error.retry_after)
        return await make_request(bot, method)


async def start(bot: Bot) -> None:
    """Register the command at Telegram, before the first update."""
    await bot.set_my_commands([BotCommand(command="wait", description="Wait for a task: /wait ID")])


async def stop(midjourney: AsyncMJClient, poller: TaskPoller, waits: Waits) -> None:
    """End all waits, so that their handlers send a last message before the session is closed."""
    await poller.aclose()
    await midjourney.aclose()
    if waits.handlers:
        await asyncio.wait(waits.handlers, timeout=10)


async def wait(
    message: Message,
    command: CommandObject,
    midjourney: AsyncMJClient,
    poller: TaskPoller,
    waits: Waits,
) -> None:
    """Handle `/wait ID`."""
    task_id = (command.args or "").strip()
    if not task_id:
        await message.answer("Send a task id: /wait ID")
        return
    reply = await message.answer(f"Waiting for {task_id[:100]}", reply_markup=STOP)
    key = (reply.chat.id, reply.message_id)
    try:
        with anyio.CancelScope() as scope:
            waits.scopes[key] = (scope, message.from_user.id if message.from_user else 0)
            text = await follow(reply, task_id, midjourney, poller)
    finally:
        del waits.scopes[key]
    if scope.cancelled_caught:
        text = f"You have stopped waiting for {task_id}. The task itself continues."
    await reply.edit_text(text[:4096])


async def follow(
    reply: Message, task_id: str, midjourney: AsyncMJClient, poller: TaskPoller
) -> str:
    """Show the progress of a task, and return the text to show at its end."""

    async def show(text: str) -> None:
        try:
            await reply.edit_text(text[:4096], reply_markup=STOP)
        except AiogramError as error:  # a failed edit must not end the wait
            _log.warning("could not show the progress of %s: %s", task_id, error)

    async def show_progress(task: Task) -> None:
        # The final task is shown by `follow`. A slow edit does not queue up: the wait skips the
        # changes that come during it, except the newest.
        if not task.is_final:
            await show(f"{task.id}: {task.status} {task.progress_text or ''}")

    try:
        task = await poller.wait_for_task(task_id, timeout=TIMEOUT, on_update=show_progress)
        picture = task.image_url or "It has no picture."
        await show(f"{picture}\nLooking up the seed")
        return f"{picture}\n{await find_seed(midjourney, task)}"
    except errors.ClientStateError:
        return f"The bot is being restarted. Send /wait {task_id} again in a minute."
    except errors.MJError as error:
        return str(error)


async def find_seed(midjourney: AsyncMJClient, task: Task) -> str:
    """Return a text with the seed, or with the reason why there is none."""
    try:
        return f"Seed: {(await midjourney.image_seed(task)).seed}"
    except errors.MJError as error:
        return f"No seed: {error}"


async def stop_waiting(query: CallbackQuery, waits: Waits) -> None:
    """Handle a press of the stop button."""
    message = query.message
    found = waits.scopes.get((message.chat.id, message.message_id)) if message else None
    if found is None:
        await query.answer("This wait has ended.")
        return
    scope, user_id = found
    if query.from_user.id != user_id:
        await query.answer("Only the user who started this wait can stop it.")
        return
    scope.cancel()
    await query.answer()


def make_dispatcher(midjourney: AsyncMJClient) -> Dispatcher:
    """Build the dispatcher; its keyword arguments are passed to the handlers by name."""
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
    """Run the bot until Ctrl-C or SIGTERM."""
    logging.basicConfig(level=logging.WARNING)
    make_dispatcher(AsyncMJClient()).run_polling(make_bot(os.environ["TELEGRAM_TOKEN"]))


if __name__ == "__main__":
    main()
