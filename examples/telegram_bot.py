"""A Telegram bot: `/wait ID` shows how a Midjourney task goes, then its picture and seed.

    python -m pip install mj_async 'python-telegram-bot[rate-limiter]>=21'
    export MJ_BASE_URL=https://gateway.example MJ_API_KEY=sk-… TELEGRAM_TOKEN=…
    python telegram_bot.py

Whoever uses the command has the id of a task that was submitted elsewhere.
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

# A task is asked about every 5 to 15 seconds, and so is its message edited at most that often.
PACE = Polling(interval=5, max_interval=15)
TIMEOUT = 30 * 60  # seconds
STOP = InlineKeyboardMarkup([[InlineKeyboardButton("Stop waiting", callback_data="stop")]])

Context: TypeAlias = ContextTypes.DEFAULT_TYPE
AnyApplication: TypeAlias = Application[Any, Any, Any, Any, Any, Any]
AnyBuilder: TypeAlias = ApplicationBuilder[Any, Any, Any, Any, Any, Any]


class MidjourneyBot(Application[Any, Context, Any, Any, Any, Any]):
    """One client and one poller for all who wait."""

    def __init__(self, *, midjourney: AsyncMJClient, **options: Any) -> None:
        super().__init__(**options)
        self.midjourney = midjourney
        self.poller = midjourney.task_poller(polling=PACE)
        # By chat and message: what to cancel, and who may do that.
        self.waits: dict[tuple[int, int], tuple[anyio.CancelScope, int]] = {}
        # block=False: else one wait would hold back all other updates.
        command = CommandHandler("wait", self.wait, filters.UpdateType.MESSAGE, block=False)
        self.add_handler(command)
        self.add_handler(CallbackQueryHandler(self.stop_waiting, pattern="^stop$"))

    async def stop(self) -> None:
        """End all waits, and only then stop, for that waits until the handlers have ended."""
        await self.close_midjourney()
        await super().stop()

    async def shutdown(self) -> None:
        """Do it also where the bot never started."""
        await self.close_midjourney()
        await super().shutdown()

    async def close_midjourney(self) -> None:
        """Close the poller, then its client; a second time does nothing."""
        await self.poller.aclose()
        await self.midjourney.aclose()

    async def wait(self, update: Update, context: Context) -> None:
        """Answer `/wait ID`."""
        asked = update.message
        assert asked is not None
        if not context.args:
            await asked.reply_text("Say which task: /wait ID")
            return
        (task_id, *_) = context.args
        reply = await asked.reply_text(f"Waiting for {task_id[:100]}", reply_markup=STOP)
        key = (reply.chat_id, reply.message_id)
        try:
            with anyio.CancelScope() as scope:
                self.waits[key] = (scope, asked.from_user.id if asked.from_user else 0)
                text = await self.follow(reply, task_id)
        finally:
            del self.waits[key]
        if scope.cancelled_caught:
            text = f"You have stopped waiting for {task_id}. The task itself goes on."
        await reply.edit_text(text[:4096])

    async def follow(self, reply: Message, task_id: str) -> str:
        """Show how a task goes, and return what is to be said at its end."""

        async def show(text: str) -> None:
            try:
                await reply.edit_text(text[:4096], reply_markup=STOP)
            except TelegramError as error:  # no reason to end the wait
                _log.warning("could not show the progress of %s: %s", task_id, error)

        async def show_progress(task: Task) -> None:
            # Changes during an edit are skipped but for the newest; the answer comes by itself.
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
            return f"The bot is being restarted. Say /wait {task_id} again in a minute."
        except errors.MJError as error:
            return str(error)

    async def find_seed(self, task: Task) -> str:
        """Look up the seed; the picture is worth showing without it."""
        try:
            return f"Seed: {(await self.midjourney.image_seed(task)).seed}"
        except errors.MJError as error:
            return f"No seed: {error}"

    async def stop_waiting(self, update: Update, _context: Context) -> None:
        """Answer a press of the button."""
        query = update.callback_query
        assert query is not None
        message = query.message
        found = self.waits.get((message.chat.id, message.message_id)) if message else None
        if found is None:
            await query.answer("Nobody waits here any more.")
            return
        scope, user_id = found
        if query.from_user.id != user_id:
            await query.answer("Only who has asked can do that.")
            return
        scope.cancel()
        await query.answer()


async def tell_commands(application: AnyApplication) -> None:
    """Tell Telegram which commands there are, before the first update."""
    await application.bot.set_my_commands([("wait", "Wait for a Midjourney task: /wait ID")])


def make_bot(builder: AnyBuilder, midjourney: AsyncMJClient) -> AnyApplication:
    """Build the application."""
    builder = builder.application_class(MidjourneyBot, {"midjourney": midjourney})
    return builder.post_init(tell_commands).build()


def main() -> None:
    """Run until Ctrl-C or SIGTERM."""
    logging.basicConfig(level=logging.WARNING)
    # Edits queue up at Telegram's limits, and a 429 is slept out.
    builder = Application.builder().rate_limiter(AIORateLimiter(max_retries=5))
    make_bot(builder.token(os.environ["TELEGRAM_TOKEN"]), AsyncMJClient()).run_polling()


if __name__ == "__main__":
    main()
