"""A Telegram bot: `/wait ID` shows a Midjourney task's progress, then its picture and seed.

    python -m pip install mj_async 'python-telegram-bot[rate-limiter]>=21'
    export MJ_BASE_URL=https://gateway.example MJ_API_KEY=sk-… TELEGRAM_TOKEN=…
    python telegram_bot.py

The user of the command has the id of a task that was submitted by another program.
"""

from __future__ import annotations

import logging
import os
from typing import Any, TypeAlias

import anyio
from telegram import InlineKeyboardButton, InlineKeyboardMarkup, Message, Update
from telegram.error import TelegramError
from telegram.ext import (
    AIORateLimiter,
    Application,
    ApplicationBuilder,
    CallbackQueryHandler,
    CommandHandler,
    ContextTypes,
    filters,
)

from mj_async import AsyncMJClient, Polling, Task, errors

_log = logging.getLogger(__name__)

# Each task is polled every 5 to 15 seconds, so its message is edited no more often than that.
PACE = Polling(interval=5, max_interval=15)
TIMEOUT = 30 * 60  # seconds
STOP = InlineKeyboardMarkup([[InlineKeyboardButton("Stop waiting", callback_data="stop")]])

Context: TypeAlias = ContextTypes.DEFAULT_TYPE
AnyApplication: TypeAlias = Application[Any, Any, Any, Any, Any, Any]
AnyBuilder: TypeAlias = ApplicationBuilder[Any, Any, Any, Any, Any, Any]


class MidjourneyBot(Application[Any, Context, Any, Any, Any, Any]):
    """The application, with one client and one poller for all waits."""

    def __init__(self, *, midjourney: AsyncMJClient, **options: Any) -> None:
        super().__init__(**options)
        self.midjourney = midjourney
        self.poller = midjourney.task_poller(polling=PACE)
        # The scope to cancel and the user who may cancel it, by chat id and message id.
        self.waits: dict[tuple[int, int], tuple[anyio.CancelScope, int]] = {}
        # Without block=False, one wait would block all other updates.
        command = CommandHandler("wait", self.wait, filters.UpdateType.MESSAGE, block=False)
        self.add_handler(command)
        self.add_handler(CallbackQueryHandler(self.stop_waiting, pattern="^stop$"))

    async def stop(self) -> None:
        """End all waits first, because the base class waits for their handlers."""
        await self.close_midjourney()
        await super().stop()

    async def shutdown(self) -> None:
        """Close the client also if the bot never started."""
        await self.close_midjourney()
        await super().shutdown()

    async def close_midjourney(self) -> None:
        """Close the poller, then its client; a second call does nothing."""
        await self.poller.aclose()
        await self.midjourney.aclose()

    async def wait(self, update: Update, context: Context) -> None:
        """Handle `/wait ID`."""
        message = update.message
        assert message is not None
        if not context.args:
            await message.reply_text("Send a task id: /wait ID")
            return
        (task_id, *_) = context.args
        reply = await message.reply_text(f"Waiting for {task_id[:100]}", reply_markup=STOP)
        key = (reply.chat_id, reply.message_id)
        try:
            with anyio.CancelScope() as scope:
                self.waits[key] = (scope, message.from_user.id if message.from_user else 0)
                text = await self.follow(reply, task_id)
        finally:
            del self.waits[key]
        if scope.cancelled_caught:
            text = f"You have stopped waiting for {task_id}. The task itself continues."
        await reply.edit_text(text[:4096])

    async def follow(self, reply: Message, task_id: str) -> str:
        """Show the progress of a task, and return the text to show at its end."""

        async def show(text: str) -> None:
            try:
                await reply.edit_text(text[:4096], reply_markup=STOP)
            except TelegramError as error:  # a failed edit must not end the wait
                _log.warning("could not show the progress of %s: %s", task_id, error)

        async def show_progress(task: Task) -> None:
            # The final task is shown by `follow`. A slow edit does not queue up: the wait skips the
            # changes that come during it, except the newest.
            if not task.is_final:
                await show(f"{task.id}: {task.status} {task.progress_text or ''}")

        try:
            task = await self.poller.wait_for_task(
                task_id, timeout=TIMEOUT, on_update=show_progress
            )
            picture = task.image_url or "It has no picture."
            await show(f"{picture}\nLooking up the seed")
            return f"{picture}\n{await self.find_seed(task)}"
        except errors.ClientStateError:
            return f"The bot is being restarted. Send /wait {task_id} again in a minute."
        except errors.MJError as error:
            return str(error)

    async def find_seed(self, task: Task) -> str:
        """Return a text with the seed, or with the reason why there is none."""
        try:
            return f"Seed: {(await self.midjourney.image_seed(task)).seed}"
        except errors.MJError as error:
            return f"No seed: {error}"

    async def stop_waiting(self, update: Update, _context: Context) -> None:
        """Handle a press of the stop button."""
        query = update.callback_query
        assert query is not None
        message = query.message
        found = self.waits.get((message.chat.id, message.message_id)) if message else None
        if found is None:
            await query.answer("This wait has ended.")
            return
        scope, user_id = found
        if query.from_user.id != user_id:
            await query.answer("Only the user who started this wait can stop it.")
            return
        scope.cancel()
        await query.answer()


async def register_commands(application: AnyApplication) -> None:
    """Register the command at Telegram, before the first update."""
    await application.bot.set_my_commands([("wait", "Wait for a Midjourney task: /wait ID")])


def make_bot(builder: AnyBuilder, midjourney: AsyncMJClient) -> AnyApplication:
    """Build the application."""
    builder = builder.application_class(MidjourneyBot, {"midjourney": midjourney})
    return builder.post_init(register_commands).build()


def main() -> None:
    """Run the bot until Ctrl-C or SIGTERM."""
    logging.basicConfig(level=logging.WARNING)
    # It queues edits to keep to Telegram's limits, and sleeps after a 429.
    builder = Application.builder().rate_limiter(AIORateLimiter(max_retries=5))
    make_bot(builder.token(os.environ["TELEGRAM_TOKEN"]), AsyncMJClient()).run_polling()


if __name__ == "__main__":
    main()
