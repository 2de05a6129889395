"""`/wait ID` in the Discord bot, from the interaction to the last edit."""

from __future__ import annotations

from itertools import pairwise
from typing import Self

import pytest

from discord_bot import MidjourneyBot
from mj_async.testing import FakeGateway

from ._discord import ADA, FakeConnector, FakeDiscord, dispatch
from ._wait import until

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("nothing_left")]

WORKING = [(0, "IN_PROGRESS", "40%")]
RESTARTED = "The bot is being restarted. Send `/wait 101` again in a minute."
STOPPED = "You have stopped waiting for 101. The task itself continues."


class BotHarness:
    """A gateway, a fake Discord and the bot between them, logged in."""

    def __init__(self) -> None:
        self.gateway = FakeGateway()
        self.discord = FakeDiscord(lambda: self.gateway.now)

    async def __aenter__(self) -> Self:
        self.bot = MidjourneyBot(self.gateway.client(), connector=FakeConnector(self.discord))
        await self.bot.login("token")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.bot.close()

    def wait(self, task_id: str = "101") -> None:
        """Send `/wait` as Ada."""
        dispatch(self.bot, self.discord.command(task_id))

    async def wait_for_end(self, said: str) -> None:
        """Wait until the first message has this text and no button."""
        await until(lambda: said in "".join(self.discord.history()[-1:]))
        await until(lambda: not self.discord.buttons["91000"])


async def test_the_command_is_told_at_login() -> None:
    """At login the bot registers its commands, and sends no request to the gateway."""
    async with BotHarness() as harness:
        paths = [(method, path) for _, method, path, _ in harness.discord.requests]

    assert ("PUT", "/applications/1/commands") in paths
    assert () == harness.gateway.requests


async def test_progress_picture_and_seed() -> None:
    """The answer is deferred; then one message shows each state once, the picture and the seed."""
    async with BotHarness() as harness:
        timeline = [(0, "SUBMITTED", "0%"), (20, "IN_PROGRESS", "50%"), (40, "SUCCESS", "100%")]
        harness.gateway.add_task("101", timeline, seed="42", image_url="https://cdn.example/p.png")
        harness.wait()
        await harness.wait_for_end("Seed: 42")
    asked_at = [at for at, _, path, _ in harness.discord.requests if path.endswith("/callback")]

    assert [0.0] == asked_at
    assert [(5, None)] == harness.discord.replies()
    assert [
        "Waiting for 101",
        "101: SUBMITTED 0%",
        "101: IN_PROGRESS 50%",
        "https://cdn.example/p.png\nLooking up the seed",
        "https://cdn.example/p.png\nSeed: 42",
    ] == harness.discord.history()


async def test_edits_keep_their_distance() -> None:
    """A task that changes each second is edited at most every 4 seconds, with its newest state."""
    async with BotHarness() as harness:
        steps = [(second, "IN_PROGRESS", f"{second}%") for second in range(99)]
        harness.gateway.add_task("101", [*steps, (99, "SUCCESS", "100%")])
        harness.wait()
        await harness.wait_for_end("No seed")
    gaps = [later - earlier for earlier, later in pairwise(harness.discord.edited_at()[1:-2])]

    assert 5 <= len(gaps) <= 20
    assert min(gaps) >= 4


@pytest.mark.parametrize(
    ("task_id", "said"),
    [
        ("101", "task 101: it failed"),
        ("102", "task 102: it waits for input"),
        ("103", "the gateway does not know the task"),
        ("../../admin", "has a slash"),
    ],
)
async def test_errors_are_shown(task_id: str, said: str) -> None:
    """The message shows the text of an error, and has no button any more."""
    async with BotHarness() as harness:
        harness.gateway.add_task("101", [(0, "FAILURE", "")], fail_reason="banned")
        harness.gateway.add_task("102", [(0, "MODAL", "0%")])
        harness.wait(task_id)
        await harness.wait_for_end(said)


async def test_no_user_is_mentioned() -> None:
    """A text of the gateway cannot mention all users."""
    async with BotHarness() as harness:
        harness.gateway.add_task("101", [(0, "FAILURE", "")], fail_reason="@everyone")
        harness.wait()
        await harness.wait_for_end("@everyone")
    bodies = [body for _, method, _, body in harness.discord.requests if method == "PATCH"]

    assert [{"parse": []}] * len(bodies) == [body["allowed_mentions"] for body in bodies]


async def test_it_goes_on_after_fifteen_minutes() -> None:
    """When the token has expired, the bot edits the same message as itself."""
    async with BotHarness() as harness:
        steps = [(minute * 60, "IN_PROGRESS", f"{minute}%") for minute in range(20)]
        harness.gateway.add_task("101", [*steps, (1200, "SUCCESS", "100%")], seed="42")
        harness.wait()
        await harness.wait_for_end("Seed: 42")

    assert ["webhooks", "channels"] == harness.discord.edit_routes()
    assert "101: IN_PROGRESS 19%" in harness.discord.history()
    assert 1200 <= harness.discord.edited_at()[-1] <= 1220


async def test_the_button_works_after_fifteen_minutes() -> None:
    """A press is a new interaction with a new token."""
    async with BotHarness() as harness:
        harness.gateway.add_task("101", [*WORKING, (1000, "IN_PROGRESS", "41%")])
        harness.wait()
        await until(lambda: "101: IN_PROGRESS 41%" in harness.discord.history())
        dispatch(harness.bot, harness.discord.press())
        await harness.wait_for_end(STOPPED)


async def test_the_answer_comes_by_direct_message_where_the_bot_may_not_see_the_channel() -> None:
    """A bot that only one user has installed answers by direct message."""
    async with BotHarness() as harness:
        harness.discord.bot_sees_channel = False
        harness.gateway.add_task("101", [*WORKING, (1200, "SUCCESS", "100%")], seed="42")
        harness.wait()
        await until(lambda: "Seed: 42" in "".join(harness.discord.history("71")))

    assert ["101: IN_PROGRESS 40%"] == harness.discord.history()[-1:]


async def test_a_failed_edit_does_not_end_the_wait(nothing_left: pytest.LogCaptureFixture) -> None:
    """A failed edit is logged, and the answer still comes."""
    async with BotHarness() as harness:
        harness.gateway.add_task("101", [(0, "IN_PROGRESS", "1%"), (20, "SUCCESS", "100%")], "42")
        harness.wait()
        await until(harness.discord.history)
        harness.discord.refusals.append(400)
        await harness.wait_for_end("Seed: 42")

    (record,) = nothing_left.records
    assert "could not show" in record.getMessage()
    nothing_left.clear()


async def test_the_button_stops_the_wait() -> None:
    """Only the user who sent the command can stop the wait; then no request follows."""
    async with BotHarness() as harness:
        harness.gateway.add_task("101", WORKING)
        harness.wait()
        await until(lambda: len(harness.discord.history()) == 2)
        dispatch(harness.bot, harness.discord.press(user={**ADA, "id": "8"}))
        await until(lambda: len(harness.discord.replies()) == 2)
        dispatch(harness.bot, harness.discord.press())
        await harness.wait_for_end(STOPPED)
        asked = len(harness.gateway.requests)
        await harness.gateway.advance(100)

    refused = (4, "Only the user who started this wait can stop it.")
    assert [(5, None), refused, (6, None)] == harness.discord.replies()
    assert asked == len(harness.gateway.requests)


async def test_closing_the_bot_ends_the_waits() -> None:
    """Each message shows the end while Discord can be reached, and no task is left."""
    async with BotHarness() as harness:
        harness.gateway.add_task("101", WORKING)
        harness.wait()
        harness.wait()
        await until(lambda: len(harness.discord.history("91001")) == 2)

    assert [RESTARTED, RESTARTED] == harness.discord.last_texts()


async def test_closing_the_bot_ends_a_search_for_a_seed() -> None:
    """A slow seed does not delay the end of the bot, and the picture stays."""
    async with BotHarness() as harness:
        harness.gateway.add_task("101", [(0, "SUCCESS", "100%")], seed="42", seed_asks=3)
        harness.wait()
        await until(lambda: any("image-seed" in one.target for one in harness.gateway.requests))

    assert "No seed: this client is closed" in harness.discord.history()[-1]


async def test_hundreds_of_waits_are_one_poll() -> None:
    """300 waits cost three requests in each tick."""
    async with BotHarness() as harness:
        for number in range(300):
            timeline = [(0, "IN_PROGRESS", "0%"), (30, "FAILURE", "")]
            harness.gateway.add_task(f"t{number}", timeline, fail_reason="banned")
        for number in range(300):
            harness.wait(f"t{number}")
        texts = harness.discord.last_texts
        await until(lambda: sum("banned" in text for text in texts()) == 300)

    assert 9 <= len(harness.gateway.requests) <= 30
