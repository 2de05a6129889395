"""A Discord bot: `/wait ID` shows how a Midjourney task goes, then its picture and seed.

    python -m pip install mj_async 'discord.py>=2.5'
    export MJ_BASE_URL=https://gateway.example MJ_API_KEY=sk-… DISCORD_TOKEN=…
    python discord_bot.py

Whoever uses the command has the id of a task that was submitted elsewhere.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from typing import Any

import aiohttp
import anyio
import discord
from discord import app_commands

from mj_async import AsyncMJClient, Polling, Task, errors

_log = logging.getLogger(__name__)

# A task is asked about every 5 to 15 seconds, and so is its message edited at most that often.
PACE = Polling(interval=5, max_interval=15)
TIMEOUT = 30 * 60  # seconds
# How Discord says that the 15 minutes of an interaction's token are over.
TOKEN_IS_OVER = {10015, 50027}  # Unknown Webhook, Invalid Webhook Token


class MidjourneyBot(discord.Client):
    """One client and one poller for all who wait."""

    def __init__(self, midjourney: AsyncMJClient, **options: Any) -> None:
        intents = discord.Intents(guilds=True)
        nobody = discord.AllowedMentions.none()  # a prompt or an error may have "@everyone" in it
        super().__init__(intents=intents, allowed_mentions=nobody, **options)
        self.midjourney = midjourney
        self.poller = midjourney.task_poller(polling=PACE)
        self.answers: set[asyncio.Task[Any]] = set()
        self.tree = app_commands.CommandTree(self)
        self.tree.add_command(wait)

    async def setup_hook(self) -> None:
        """Tell Discord which commands there are, once logged in."""
        await self.tree.sync()

    async def close(self) -> None:
        """End all waits, let them say so while Discord can still be reached, and log out."""
        await self.poller.aclose()
        await self.midjourney.aclose()
        if self.answers:
            await asyncio.wait(self.answers, timeout=10)
        await super().close()

    async def answer(self, reply: Reply, task_id: str) -> None:
        """Wait for a task until it ends, or until whoever asked stops it."""
        with anyio.CancelScope() as scope:
            reply.button = StopButton(scope, reply.user.id)
            text = await self.follow(reply, task_id)
        if scope.cancelled_caught:
            text = f"You have stopped waiting for {task_id}. The task itself goes on."
        await reply.end(text)

    async def follow(self, reply: Reply, task_id: str) -> str:
        """Show how a task goes, and return what is to be said at its end."""
        try:
            await reply.show(f"Waiting for {task_id}")
            task = await self.poller.wait_for_task(
                task_id, timeout=TIMEOUT, on_update=reply.show_progress
            )
            picture = task.image_url or "It has no picture."
            await reply.show(f"{picture}\nLooking up the seed")
            return f"{picture}\n{await self.find_seed(task)}"
        except errors.ClientStateError:
            return f"The bot is being restarted. Say `/wait {task_id}` again in a minute."
        except errors.MJError as error:
            return str(error)

    async def find_seed(self, task: Task) -> str:
        """Look up the seed; the picture is worth showing without it."""
        try:
            return f"Seed: {(await self.midjourney.image_seed(task)).seed}"
        except errors.MJError as error:
            return f"No seed: {error}"


class Reply:
    """The answer to one command: a message that is edited."""

    def __init__(self, interaction: discord.Interaction[MidjourneyBot]) -> None:
        self.user = interaction.user
        self.button: StopButton | None = None
        self._interaction = interaction
        self._message: discord.PartialMessage | None = None
        self._token_is_over = False
        self._is_lost = False

    async def show_progress(self, task: Task) -> None:
        """Show how far the task is; changes during an edit are skipped but for the newest."""
        if not task.is_final:  # then the answer comes at once
            await self.show(f"{task.id}: {task.status} {task.progress_text or ''}")

    async def show(self, text: str) -> None:
        """Edit the message; that it cannot be edited is no reason to end the wait."""
        if self._is_lost:
            return
        try:
            await self._edit(text[:2000])
        except (discord.Forbidden, discord.NotFound):  # deleted, or where the bot may not see it
            self._is_lost = True
        except (discord.DiscordException, aiohttp.ClientError, OSError) as error:
            _log.warning("could not show %r: %s", text, error)

    async def end(self, text: str) -> None:
        """Show the answer and take the button away."""
        if self.button is not None:
            self.button.stop()
            self.button = None
        await self.show(text)
        if self._is_lost:
            await self.user.send(text[:2000])

    async def _edit(self, text: str) -> None:
        """Edit by the interaction's token, and when its 15 minutes are over, as the bot."""
        if not self._token_is_over:
            try:
                message = await self._interaction.edit_original_response(
                    content=text, view=self.button
                )
            except discord.HTTPException as error:
                if self._message is None or error.code not in TOKEN_IS_OVER:
                    raise
                self._token_is_over = True
            else:
                bot, channel_id = self._interaction.client, message.channel.id
                channel = bot.get_partial_messageable(channel_id)
                self._message = channel.get_partial_message(message.id)
        if self._token_is_over and self._message is not None:
            await self._message.edit(content=text, view=self.button)


class StopButton(discord.ui.View):
    """A button by which whoever asked stops waiting."""

    def __init__(self, scope: anyio.CancelScope, user_id: int) -> None:
        super().__init__(timeout=None)
        self._scope = scope
        self._user_id = user_id

    async def interaction_check(self, interaction: discord.Interaction[Any]) -> bool:
        """Refuse the click of anybody else."""
        if interaction.user.id == self._user_id:
            return True
        await interaction.response.send_message("Only who has asked can do that.", ephemeral=True)
        return False

    @discord.ui.button(label="Stop waiting")
    async def stop_waiting(
        self, interaction: discord.Interaction[Any], _button: discord.ui.Button[StopButton]
    ) -> None:
        """End the wait, and nothing else of the handler."""
        await interaction.response.defer()
        self._scope.cancel()


@app_commands.command(description="Wait for a Midjourney task")
@app_commands.describe(task_id="The task's id")
async def wait(interaction: discord.Interaction[MidjourneyBot], task_id: str) -> None:
    """Answer `/wait ID`."""
    await interaction.response.defer()  # Discord gives three seconds; the gateway may need more
    bot, this = interaction.client, asyncio.current_task()
    assert this is not None
    bot.answers.add(this)
    try:
        await bot.answer(Reply(interaction), task_id)
    finally:
        bot.answers.discard(this)


def main() -> None:
    """Run until Ctrl-C or SIGTERM, which discord.py leaves to us."""
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    MidjourneyBot(AsyncMJClient()).run(os.environ["DISCORD_TOKEN"])


if __name__ == "__main__":
    main()
