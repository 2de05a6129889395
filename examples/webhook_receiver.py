"""A web server that receives a gateway's webhooks (`notifyHook`) and lets browsers wait for tasks.

    python -m pip install mj_async fastapi uvicorn
    export MJ_BASE_URL=https://gateway.example MJ_API_KEY=sk-… WEBHOOK_SECRET=…
    uvicorn webhook_receiver:make_app --factory --timeout-graceful-shutdown 30

Make a secret with `python -c "import secrets; print(secrets.token_urlsafe())"`, submit tasks with
`notifyHook` = https://your.example/webhooks/<WEBHOOK_SECRET>, and serve that address only by https.
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

# Polling is slow, because it is only the safety net: lost webhooks are not sent again.
SLOW = Polling(interval=5, max_interval=60)
MAX_BODY = 1_000_000  # bytes
LONGEST_WAIT = 25  # seconds; when uvicorn stops, it waits for the last response


def make_app(midjourney: AsyncMJClient | None = None, secret: str | None = None) -> FastAPI:
    """Build the application; without arguments, the environment configures it."""
    client = AsyncMJClient() if midjourney is None else midjourney
    secret = os.environ["WEBHOOK_SECRET"] if secret is None else secret
    if len(secret) < 16:
        raise ValueError("WEBHOOK_SECRET is too short to be one")
    poller = client.task_poller(polling=SLOW)

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
    async def receive_hint(request: Request) -> None:
        """Receive a webhook from any sender, and poll its task at once."""
        poller.feed(await read_body(request))

    @app.post("/webhooks/{given}", status_code=202)
    async def receive_trusted(given: str, request: Request) -> None:
        """Receive a webhook from a sender that knows the secret, and trust it."""
        if not secrets.compare_digest(given.encode(), secret.encode()):
            raise HTTPException(404)
        poller.feed(await read_body(request), trusted=True)


async def read_body(request: Request) -> bytes:
    """Read a body of limited size."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise HTTPException(413)
    return bytes(body)


def add_waits(app: FastAPI, poller: TaskPoller) -> None:
    """Add the address to wait for a task."""

    @app.get("/tasks/{task_id}", response_model=None)
    async def wait(
        task_id: str, timeout: Annotated[float, Query(ge=0, le=LONGEST_WAIT)] = 20
    ) -> dict[str, Any] | JSONResponse:
        """Respond when the task has ended, or at the timeout with 202 and the task as it is."""
        try:
            task = await poller.wait_for_task(task_id, timeout=timeout, raise_on_failure=False)
        except errors.WaitTimeoutError as error:
            return JSONResponse(error.task.to_dict() if error.task else {}, status_code=202)
        return task.to_dict()


# The first class that matches sets the status; all other errors are the gateway's: 502.
STATUS_CODES: tuple[tuple[type[errors.MJError], int], ...] = (
    (errors.ConfigurationError, 422),
    (errors.TaskNotFoundError, 404),
    (errors.TaskNeedsInputError, 409),
    (errors.RateLimitError, 503),
    (errors.ClientStateError, 503),
)


async def answer_error(request: Request, error: Exception) -> JSONResponse:
    """Respond with the message of the error."""
    is_invalid = request.method == "POST" and isinstance(error, errors.UnexpectedAnswerError)
    found = (code for kind, code in STATUS_CODES if isinstance(error, kind))
    return JSONResponse({"detail": str(error)}, status_code=422 if is_invalid else next(found, 502))
