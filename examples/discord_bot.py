"""A Discord bot: `/wait ID` shows a Midjourney task's progress, then its picture and seed.

    python -m pip install mj_async 'discord.py>=2.5'
    export MJ_BASE_URL=https://gateway.example MJ_API_KEY=sk-… DISCORD_TOKEN=…
    python discord_bot.py

The user of the command has the id of a task that was submitted by another program.
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

# Each task is polled every 5 to 15 seconds, so its message is edited no more often than that.
PACE = Polling(interval=5, max_interval=15)
TIMEOUT = 30 * 60  # seconds
# Discord's error codes after the 15 minutes of an interaction's token.
TOKEN_HAS_EXPIRED = {10015, 50027}  # Unknown Webhook, Invalid Webhook Token


class MidjourneyBot(discord.Client):
    """The bot, with one client and one poller for all waits."""

    def __init__(self, midjourney: AsyncMJClient, **options: Any) -> None:
        intents = discord.Intents(guilds=True)
        no_mentions = discord.AllowedMentions.none()  # a prompt or an error may contain "@everyone"
        super().__init__(intents=intents, allowed_mentions=no_mentions, **options)
        self.midjourney = midjourney
        self.poller = midjourney.task_poller(polling=PACE)
        self.answers: set[asyncio.Task[Any]] = set()
        self.tree = app_commands.CommandTree(self)
        self.tree.add_command(wait)

    async def setup_hook(self) -> None:
        """Register the command at Discord, after the login."""
        await self.tree.sync()

    async def close(self) -> None:
        """End all waits, wait until their handlers have sent a last message, and log out."""
        await self.poller.aclose()
        await self.midjourney.aclose()
        if self.answers:
            await asyncio.wait(self.answers, timeout=10)
        await super().close()

    async def answer(self, reply: Reply, task_id: str) -> None:
        """Wait until the task ends, or until the user stops the wait."""
        with anyio.CancelScope() as scope:
            reply.button = StopButton(scope, reply.user.id)
            text = await self.follow(reply, task_id)
        if scope.cancelled_caught:
            text = f"You have stopped waiting for {task_id}. The task itself continues."
        await reply.end(text)

    async def follow(self, reply: Reply, task_id: str) -> str:
        """Show the progress of a task, and return the text to show at its end."""
        try:
            await reply.show(f"Waiting for {task_id}")
            task = await self.poller.wait_for_task(
                task_id, timeout=TIMEOUT, on_update=reply.show_progress
            )
            picture = task.image_url or "It has no picture."
            await reply.show(f"{picture}\nLooking up the seed")
            return f"{picture}\n{await self.find_seed(task)}"
        except errors.ClientStateError:
            return f"The bot is being restarted. Send `/wait {task_id}` again in a minute."
        except errors.MJError as error:
            return str(error)

    async def find_seed(self, task: Task) -> str:
        """Return a text with the seed, or with the reason why there is none."""
        try:
            return f"Seed: {(await self.midjourney.image_seed(task)).seed}"
        except errors.MJError as error:
            return f"No seed: {error}"


class Reply:
    """The response to one command: a message that is edited."""

    def __init__(self, interaction: discord.Interaction[MidjourneyBot]) -> None:
        self.user = interaction.user
        self.button: StopButton | None = None
        self._interaction = interaction
        self._message: discord.PartialMessage | None = None
        self._token_has_expired = False
        self._is_lost = False

    async def show_progress(self, task: Task) -> None:
        """Show the progress; the wait skips the changes during an edit, except the newest."""
        if not task.is_final:  # `follow` shows the final task
            await self.show(f"{task.id}: {task.status} {task.progress_text or ''}")

    async def show(self, text: str) -> None:
        """Edit the message; a failed edit must not end the wait."""
        if self._is_lost:
            return
        try:
            await self._edit(text[:2000])
        except (discord.Forbidden, discord.NotFound):  # deleted, or the channel is hidden
            self._is_lost = True
        except (discord.DiscordException, aiohttp.ClientError, OSError) as error:
            _log.warning("could not show %r: %s", text, error)

    async def end(self, text: str) -> None:
        """Show the final text and remove the button."""
        if self.button is not None:
            self.button.stop()
            self.button = None
        await self.show(text)
        if self._is_lost:
            await self.user.send(text[:2000])

    async def _edit(self, text: str) -> None:
        """Edit the message by the interaction's token, and after its 15 minutes as the bot."""
        if not self._token_has_expired:
            try:
                message = await self._interaction.edit_original_response(
                    content=text, view=self.button
                )
            except discord.HTTPException as error:
                if self._message is None or error.code not in TOKEN_HAS_EXPIRED:
                    raise
                self._token_has_expired = True
            else:
                bot, channel_id = self._interaction.client, message.channel.id
                channel = bot.get_partial_messageable(channel_id)
                self._message = channel.get_partial_message(message.id)
        if self._token_has_expired and self._message is not None:
            await self._message.edit(content=text, view=self.button)


class StopButton(discord.ui.View):
    """A button with which the user stops the wait."""

    def __init__(self, scope: anyio.CancelScope, user_id: int) -> None:
        super().__init__(timeout=None)
        self._scope = scope
        self._user_id = user_id

    async def interaction_check(self, interaction: discord.Interaction[Any]) -> bool:
        """Return True if the click is from the user who started the wait."""
        if interaction.user.id == self._user_id:
            return True
        await interaction.response.send_message(
            "Only the user who started this wait can stop it.", ephemeral=True
        )
        return False

    @discord.ui.button(label="Stop waiting")
    async def stop_waiting(
        self, interaction: discord.Interaction[Any], _button: discord.ui.Button[StopButton]
    ) -> None:
        """Cancel the wait, but not the handler."""
        await interaction.response.defer()
        self._scope.cancel()


@app_commands.command(description="Wait for a Midjourney task")
@app_commands.describe(task_id="The task's id")
async def wait(interaction: discord.Interaction[MidjourneyBot], task_id: str) -> None:
    """Handle `/wait ID`."""
    await interaction.response.defer()  # Discord allows 3 seconds, the gateway may need more
    bot, this = interaction.client, asyncio.current_task()
    assert this is not None
    bot.answers.add(this)
    try:
        await bot.answer(Reply(interaction), task_id)
    finally:
        bot.answers.discard(this)


def main() -> None:
    """Run the bot until Ctrl-C or SIGTERM, which discord.py does not handle."""
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    MidjourneyBot(AsyncMJClient()).run(os.environ["DISCORD_TOKEN"])


if __name__ == "__main__":
    main()
