"""In which header a gateway takes the key: one call finds that out while the others wait."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from copy import copy
from typing import TYPE_CHECKING

import anyio
import attrs

from .. import errors
from .._protocol.requests import SCHEMES

if TYPE_CHECKING:
    from .._clock import Clock
    from .._protocol.requests import Scheme

# How long a call waits for the one that tries a header: longer than most answers take. A seed may
# take a minute, and others must not wait for that. So long a refused key is not tried again, too.
_PATIENCE = 2.0
# Each of these proves that the gateway took the key.
_PROOF = (errors.TaskNotFoundError, errors.SeedUnavailableError)


@attrs.define(eq=False)
class Authenticator:
    """The header that carries the key; "auto" is found out by the first requests.

    A thousand calls must not try three headers each. So one call sends its request with the first
    header, and the others wait; after a refusal the call that comes first tries the next header.
    No call waits at the gate meanwhile: the others could not say that it is held.

    `scheme` is None until the header is found out. `had_good_answer` is True once an answer has
    proved that base_url and the key are right.
    """

    scheme: Scheme | None
    _clock: Clock
    had_good_answer: bool = attrs.field(default=False, init=False)
    _refusals: list[errors.AuthenticationError] = attrs.field(factory=list, init=False)
    _trying: anyio.Event | None = attrs.field(default=None, init=False)
    _refusal: errors.AuthenticationError | None = attrs.field(default=None, init=False)
    _refused_until: float = attrs.field(default=-math.inf, init=False)

    @asynccontextmanager
    async def authenticate(self, task_id: str | None) -> AsyncIterator[Scheme]:
        """Return the context in which one request is sent with the key in the header it names.

        It swallows a refusal if there is another header to try.

        Raises:
            AuthenticationError: The gateway refuses the key in every header, or no longer takes
                it in the one that it took before.
        """
        turn = None if self.scheme else await self._wait_for_turn(task_id)
        scheme = self.scheme or SCHEMES[len(self._refusals)]
        refusal_before = self._refusal
        try:
            yield scheme
        except _PROOF:
            self.scheme, self.had_good_answer = scheme, True
            raise
        except errors.AuthenticationError as error:
            if self.scheme == scheme:
                raise
            if self._refusal is refusal_before:
                self._note_refusal(scheme, error)
            if self._refusal is not None and self._refusal is not refusal_before:
                raise _refusal_for(self._refusal, task_id) from None
        else:
            self.scheme, self.had_good_answer = scheme, True
        finally:
            if turn is not None:
                turn.set()

    async def _wait_for_turn(self, task_id: str | None) -> anyio.Event | None:
        """Wait while another call tries a header; return an event to be set after this one's try.

        Return None if the header has been found meanwhile.
        """
        while self.scheme is None and (trying := self._trying) and not trying.is_set():
            with self._clock.move_on_at(self._clock.now() + _PATIENCE):
                await trying.wait()
            if self._trying is trying:
                break  # it has ended, or is slow, and no other call has taken its turn yet
        if self.scheme is not None:
            return None
        if self._refusal is not None and self._clock.now() < self._refused_until:
            raise _refusal_for(self._refusal, task_id)
        self._trying = anyio.Event()
        return self._trying

    def _note_refusal(self, scheme: Scheme, error: errors.AuthenticationError) -> None:
        """Go on to the next header; after the last one, the first one's refusal counts."""
        if scheme == SCHEMES[len(self._refusals)]:  # else a faster call has gone on
            self._refusals.append(copy(error))  # without its traceback
        if len(self._refusals) == len(SCHEMES):
            self._refusal, self._refusals = self._refusals[0], []
            self._refused_until = self._clock.now() + _PATIENCE


def _refusal_for(
    refusal: errors.AuthenticationError, task_id: str | None
) -> errors.AuthenticationError:
    refusal = copy(refusal)
    refusal.task_id = task_id
    return refusal
