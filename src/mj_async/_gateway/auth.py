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
    from .._http.session import PassGate
    from .._protocol.requests import Scheme

# How long a call waits for those that try a header: longer than most answers take. A seed may take
# a minute, and others must not wait for that.
_PATIENCE = 2.0
# Each of these proves that the gateway took the key.
_PROOF = (errors.TaskNotFoundError, errors.SeedUnavailableError)


@attrs.define(eq=False)
class _Try:
    """One call's try of a header. After a failure that is no refusal, the others go on at once."""

    ended: anyio.Event = attrs.field(factory=anyio.Event)
    failure: type[Exception] | None = None


@attrs.define(eq=False)
class Authenticator:
    """The header that carries the key; "auto" is found out by the first requests.

    A thousand calls must not try three headers each. So one call sends its request with the first
    header, and the others wait; after a refusal the call that comes first tries the next header.

    `scheme` is None until the header is found out. `had_good_answer` is True once an answer has
    proved that base_url and the key are right.
    """

    scheme: Scheme | None
    _clock: Clock
    had_good_answer: bool = attrs.field(default=False, init=False)
    _refusals: list[errors.AuthenticationError] = attrs.field(factory=list, init=False)
    _trying: _Try | None = attrs.field(default=None, init=False)
    _refusal: errors.AuthenticationError | None = attrs.field(default=None, init=False)
    _refused_at: float = attrs.field(default=-math.inf, init=False)

    @asynccontextmanager
    async def authenticate(
        self, task_id: str | None, began: float, pass_gate: PassGate
    ) -> AsyncIterator[Scheme]:
        """Return the context in which one request is sent with the key in the header it names.

        It swallows a refusal if there is another header to try. A refusal in all headers is that
        of every request that began before it.
        """
        await (pass_gate() if self.scheme else self._wait_for_turn(task_id, began, pass_gate))
        turn = self._trying = _Try()
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
            if self.scheme is None and self._refusal is refusal_before:
                self._note_refusal(scheme, error)
            if self._refusal is not None and self._refusal is not refusal_before:
                raise _refusal_for(self._refusal, task_id) from None
        except Exception as error:
            turn.failure = type(error)
            raise
        else:
            self.scheme, self.had_good_answer = scheme, True
        finally:
            self._trying = None if self._trying is turn else self._trying
            turn.ended.set()

    async def _wait_for_turn(self, task_id: str | None, began: float, pass_gate: PassGate) -> None:
        """Wait while another call tries a header, then pass the gate, which it may have closed."""
        known = self._refusal if began >= self._refused_at else None
        until = self._clock.now() + _PATIENCE
        has_passed = is_free = False
        while not (has_passed and (self.scheme or is_free or self._trying is None)):
            if self._refusal and self._refusal is not known and not has_passed:
                raise _refusal_for(self._refusal, task_id)
            other = self._trying
            if self.scheme or is_free or other is None:
                await pass_gate()
                has_passed, until = True, self._clock.now() + _PATIENCE
                continue
            with self._clock.move_on_at(until):
                await other.ended.wait()
            is_held = other.failure is errors.RateLimitError
            is_free = other is self._trying or not (other.failure is None or is_held)
            has_passed = has_passed and not is_held

    def _note_refusal(self, scheme: Scheme, error: errors.AuthenticationError) -> None:
        """Go on to the next header; after the last one, the first one's refusal counts."""
        if scheme == SCHEMES[len(self._refusals)]:  # else a faster call has gone on
            self._refusals.append(copy(error))  # without its traceback
        if len(self._refusals) == len(SCHEMES):
            self._refusal, self._refusals = self._refusals[0], []
            self._refused_at = self._clock.now()


def _refusal_for(
    refusal: errors.AuthenticationError, task_id: str | None
) -> errors.AuthenticationError:
    refusal = copy(refusal)
    refusal.task_id = task_id
    return refusal
