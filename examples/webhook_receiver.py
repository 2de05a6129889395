"""A web server that takes a gateway's webhooks (`notifyHook`), with waits beside it.

    python -m pip install mj_async fastapi uvicorn
    export MJ_BASE_URL=https://gateway.example MJ_API_KEY=sk-… WEBHOOK_SECRET=…
    uvicorn webhook_receiver:make_app --factory --timeout-graceful-shutdown 30

Submit tasks with `notifyHook` = https://your.example/webhooks/<WEBHOOK_SECRET>, make the secret
with `python -c "import secrets; print(secrets.token_urlsafe())"`, and serve it by https only.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException, Query, Request
from fastapi.responses import JSONResponse

from mj_async import AsyncMJClient, Polling, TaskPoller, errors

# Polling is the safety net here: webhooks are not sent again.
PATIENT = Polling(interval=5, max_interval=60)
MAX_BODY = 1_000_000  # bytes
LONGEST_WAIT = 25  # seconds; uvicorn waits for the last answer when it is stopped


def make_app(midjourney: AsyncMJClient | None = None, secret: str | None = None) -> FastAPI:
    """Build the application; without arguments from the environment."""
    client = AsyncMJClient() if midjourney is None else midjourney
    secret = os.environ["WEBHOOK_SECRET"] if secret is None else secret
    if len(secret) < 16:
        raise ValueError("WEBHOOK_SECRET is too short to be one")
    poller = client.task_poller(polling=PATIENT)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with client, poller:
            yield

    app = FastAPI(lifespan=lifespan)
    app.add_exception_handler(errors.MJError, answer_error)
    add_webhooks(app, poller, secret)
    add_waits(app, poller)
    return app


def add_webhooks(app: FastAPI, poller: TaskPoller, secret: str) -> None:
    """Add the addresses that gateways post to."""

    @app.post("/webhooks", status_code=202)
    async def take_hint(request: Request) -> None:
        """Take a webhook of anybody: it only brings a poll forward."""
        poller.feed(await read_body(request))

    @app.post("/webhooks/{given}", status_code=202)
    async def take_word(given: str, request: Request) -> None:
        """Take a webhook of one who knows the secret, and believe it."""
        if not secrets.compare_digest(given.encode(), secret.encode()):
            raise HTTPException(404)
        poller.feed(await read_body(request), trusted=True)


async def read_body(request: Request) -> bytes:
    """Read a body, but not without end."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise HTTPException(413)
    return bytes(body)


def add_waits(app: FastAPI, poller: TaskPoller) -> None:
    """Add the address where a task is waited for."""

    @app.get("/tasks/{task_id}", response_model=None)
    async def wait(
        task_id: str, timeout: Annotated[float, Query(ge=0, le=LONGEST_WAIT)] = 20
    ) -> dict[str, Any] | JSONResponse:
        """Answer when the task has ended, or with 202 as it is after some seconds."""
        try:
            task = await poller.wait_for_task(task_id, timeout=timeout, raise_on_failure=False)
        except errors.WaitTimeoutError as error:
            return JSONResponse(error.task.to_dict() if error.task else {}, status_code=202)
        return task.to_dict()


# The first that fits; everything else is the gateway's fault.
STATUS_CODES: tuple[tuple[type[errors.MJError], int], ...] = (
    (errors.ConfigurationError, 422),
    (errors.TaskNotFoundError, 404),
    (errors.TaskNeedsInputError, 409),
    (errors.RateLimitError, 503),
    (errors.ClientStateError, 503),
)


async def answer_error(request: Request, error: Exception) -> JSONResponse:
    """Tell what went wrong, in the words of the error."""
    is_junk = request.method == "POST" and isinstance(error, errors.UnexpectedAnswerError)
    found = (code for kind, code in STATUS_CODES if isinstance(error, kind))
    return JSONResponse({"detail": str(error)}, status_code=422 if is_junk else next(found, 502))
