"""`/wait ID` in both Telegram bots, from the update to the last edit."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from itertools import pairwise
from typing import Any, TypeAlias

import pytest

from mj_async import AsyncMJClient
from mj_async.testing import FakeGateway

from ._telegram import FakeTelegram
from ._telegram_bots import RunningAiogramBot, RunningTelegramBot
from ._wait import until

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("nothing_left")]

RunBot: TypeAlias = Callable[[FakeTelegram, AsyncMJClient], AbstractAsyncContextManager[Any]]
BOTS = pytest.mark.parametrize("run", [RunningTelegramBot, RunningAiogramBot])

WORKING = [(0, "IN_PROGRESS", "40%")]
RESTARTED = "The bot is being restarted. Send /wait 101 again in a minute."
STOPPED = "You have stopped waiting for 101. The task itself continues."


@BOTS
async def test_commands_are_told_first(run: RunBot) -> None:
    """The bot registers its commands before it reads an update."""
    gateway = FakeGateway()
    telegram = FakeTelegram(lambda: gateway.now)

    async with run(telegram, gateway.client()):
        await until(lambda: "setMyCommands" in telegram.methods())

    assert "sendMessage" not in telegram.methods()
    assert () == gateway.requests


@BOTS
async def test_progress_picture_and_seed(run: RunBot) -> None:
    """One message shows each state once, then the picture, then the seed."""
    gateway = FakeGateway()
    telegram = FakeTelegram(lambda: gateway.now)
    timeline = [(0, "SUBMITTED", "0%"), (20, "IN_PROGRESS", "50%"), (40, "SUCCESS", "100%")]
    gateway.add_task("101", timeline, seed="42", image_url="https://cdn.example/pig.png")

    async with run(telegram, gateway.client()):
        telegram.send_message("/wait 101")
        await until(lambda: "Seed: 42" in "".join(telegram.history()))

    assert [
        "Waiting for 101",
        "101: SUBMITTED 0%",
        "101: IN_PROGRESS 50%",
        "https://cdn.example/pig.png\nLooking up the seed",
        "https://cdn.example/pig.png\nSeed: 42",
    ] == telegram.history()


@BOTS
async def test_edits_keep_their_distance(run: RunBot) -> None:
    """A task that changes each second is edited at most every 4 seconds, with its newest state."""
    gateway = FakeGateway()
    telegram = FakeTelegram(lambda: gateway.now)
    steps = [(second, "IN_PROGRESS", f"{second}%") for second in range(99)]
    gateway.add_task("101", [*steps, (99, "SUCCESS", "100%")])

    async with run(telegram, gateway.client()):
        telegram.send_message("/wait 101")
        await until(lambda: "No seed" in "".join(telegram.history()[-1:]))

    gaps = [later - earlier for earlier, later in pairwise(telegram.edited_at()[1:-2])]
    assert 5 <= len(gaps) <= 20
    assert min(gaps) >= 4


@BOTS
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("/wait 101", "task 101: it failed"),
        ("/wait 102", "task 102: it waits for input"),
        ("/wait 103", "the gateway does not know the task"),
        ("/wait ../../admin", "has a slash"),
        ("/wait", "Send a task id: /wait ID"),
    ],
)
async def test_errors_are_shown(run: RunBot, text: str, said: str) -> None:
    """The message shows the text of an error."""
    gateway = FakeGateway()
    telegram = FakeTelegram(lambda: gateway.now)
    gateway.add_task("101", [(0, "IN_PROGRESS", "1%"), (20, "FAILURE", "")], fail_reason="banned")
    gateway.add_task("102", [(0, "MODAL", "0%")])

    async with run(telegram, gateway.client()):
        telegram.send_message(text)
        await until(lambda: said in "".join(telegram.history()[-1:]))

    assert "setMyCommands" in telegram.methods()


@BOTS
async def test_a_picture_without_a_seed_is_shown(run: RunBot) -> None:
    """Without a seed the message keeps the picture and shows the reason."""
    gateway = FakeGateway()
    telegram = FakeTelegram(lambda: gateway.now)
    gateway.add_task("101", [(0, "SUCCESS", "100%")], image_url="https://cdn.example/pig.png")

    async with run(telegram, gateway.client()):
        telegram.send_message("/wait 101")
        await until(lambda: "No seed" in "".join(telegram.history()[-1:]))

    assert telegram.history()[-1].startswith("https://cdn.example/pig.png\nNo seed: task 101")


@BOTS
async def test_a_failed_edit_does_not_end_the_wait(
    run: RunBot, nothing_left: pytest.LogCaptureFixture
) -> None:
    """A failed edit is logged, and the answer still comes."""
    gateway = FakeGateway()
    telegram = FakeTelegram(lambda: gateway.now)
    gateway.add_task("101", [(0, "IN_PROGRESS", "1%"), (20, "SUCCESS", "100%")], seed="42")

    async with run(telegram, gateway.client()):
        telegram.send_message("/wait 101")
        await until(telegram.history)
        telegram.refusals.append({"error_code": 400, "description": "Bad Request: no"})
        await until(lambda: "Seed: 42" in "".join(telegram.history()))

    (record,) = nothing_left.records
    assert "could not show the progress of 101" in record.getMessage()
    nothing_left.clear()


@BOTS
async def test_the_button_stops_the_wait(run: RunBot) -> None:
    """Only the user who sent the command can stop the wait; then no request follows."""
    gateway = FakeGateway()
    telegram = FakeTelegram(lambda: gateway.now)
    gateway.add_task("101", WORKING)

    async with run(telegram, gateway.client()):
        telegram.send_message("/wait 101")
        await until(lambda: len(telegram.history()) == 2)
        telegram.press(user_id=8)
        await until(telegram.notices)
        telegram.press()
        await until(lambda: telegram.history()[-1] == STOPPED)
        asked = len(gateway.requests)
        telegram.press()
        await until(lambda: len(telegram.notices()) == 3)
        await gateway.advance(100)

    refused, over = "Only the user who started this wait can stop it.", "This wait has ended."
    assert [refused, None, over] == telegram.notices()
    assert asked == len(gateway.requests)


@BOTS
async def test_stopping_the_bot_ends_the_waits(run: RunBot) -> None:
    """Each message shows the end while Telegram can be reached, and no task is left."""
    gateway = FakeGateway()
    telegram = FakeTelegram(lambda: gateway.now)
    gateway.add_task("101", WORKING)

    async with run(telegram, gateway.client()):
        telegram.send_message("/wait 101")
        telegram.send_message("/wait 101")
        await until(lambda: len(telegram.history(102)) == 2)

    assert [RESTARTED, RESTARTED] == telegram.last_texts()


@BOTS
async def test_stopping_the_bot_ends_a_search_for_a_seed(run: RunBot) -> None:
    """A slow seed does not delay the end of the bot, and the picture stays."""
    gateway = FakeGateway()
    telegram = FakeTelegram(lambda: gateway.now)
    gateway.add_task("101", [(0, "SUCCESS", "100%")], seed="42", seed_asks=3)

    async with run(telegram, gateway.client()):
        telegram.send_message("/wait 101")
        await until(lambda: any("image-seed" in one.target for one in gateway.requests))

    assert "No seed: this client is closed" in telegram.history()[-1]


@BOTS
async def test_hundreds_of_waits_are_one_poll(run: RunBot) -> None:
    """300 waits cost three requests in each tick."""
    gateway = FakeGateway()
    telegram = FakeTelegram(lambda: gateway.now)
    for number in range(300):
        timeline = [(0, "IN_PROGRESS", "0%"), (30, "FAILURE", "")]
        gateway.add_task(f"t{number}", timeline, fail_reason="banned")

    async with run(telegram, gateway.client()):
        for number in range(300):
            telegram.send_message(f"/wait t{number}")
        await until(lambda: sum("banned" in text for text in telegram.last_texts()) == 300)

    assert 300 == len(telegram.last_texts())
    assert 9 <= len(gateway.requests) <= 30


async def test_aiogram_sleeps_out_a_429() -> None:
    """After a 429 of Telegram the edit is sent again."""
    gateway = FakeGateway()
    telegram = FakeTelegram(lambda: gateway.now)
    gateway.add_task("101", [(0, "FAILURE", "")], fail_reason="banned")

    async with RunningAiogramBot(telegram, gateway.client()):
        too_many = {"description": "Too Many Requests", "parameters": {"retry_after": 1}}
        telegram.refusals.append({"error_code": 429, **too_many})
        telegram.send_message("/wait 101")
        await until(lambda: "banned" in "".join(telegram.history()), pause=0.02)

    assert 3 == sum(method in {"sendMessage", "editMessageText"} for method in telegram.methods())
