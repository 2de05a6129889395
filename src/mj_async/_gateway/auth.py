"""How a gateway takes the key: found out by one call while the others wait, and remembered."""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import copy
from typing import TYPE_CHECKING, TypeVar

import anyio
import attrs

from .. import errors
from .._http.session import is_held
from .._protocol import requests

if TYPE_CHECKING:
    from .._http.session import RequestOptions, Session
    from .._protocol.requests import APIRequest, Scheme
    from .._protocol.response import APIResponse

T = TypeVar("T")

# How long calls wait for the one that finds out: longer than most answers take. A seed may take
# a minute, and others must not wait for that.
_PATIENCE = 2.0
# Any of these proves that the gateway took the key.
_PROOF = (errors.TaskNotFoundError, errors.SeedUnavailableError)


class _UnsettledError(Exception):
    """The search that was waited for has ended without a result; somebody has to search on."""


@attrs.define(eq=False)
class _Search:
    """One call's search, for the others to wait on."""

    ended: anyio.Event = attrs.field(factory=anyio.Event)
    cut_off: bool = True
    refusal: errors.AuthenticationError | None = None

    def check(self, task_id: str | None) -> None:
        """Raise its refusal for another task: the key is bad, in every scheme."""
        if self.refusal is not None and self.ended.is_set():
            refusal = copy(self.refusal)
            refusal.task_id = task_id
            raise refusal


@attrs.define(eq=False)
class Authenticator:
    """Sends each request with the key as the gateway takes it.

    Args:
        session: Sends.
        scheme: How, or None to find out.
    """

    _session: Session
    scheme: Scheme | None
    had_good_answer: bool = attrs.field(default=False, init=False)
    _search: _Search | None = attrs.field(default=None, init=False)
    # Those of a search that the gate has stopped, which goes on behind them.
    _refusals: list[errors.AuthenticationError] = attrs.field(factory=list, init=False)

    async def attempt(
        self, request: APIRequest, read: Callable[[APIResponse], T], options: RequestOptions
    ) -> T:
        """Send a request once, but for the search on a 401 before anything has succeeded.

        Raises:
            AuthenticationError: No scheme is taken, and this is the first one's refusal; or
                the one that was taken no longer is.
            MJError: As `Exchange.attempt`.
        """
        while self.scheme is None:
            try:
                return await self._find_or_wait(request, read, options)
            except _UnsettledError:
                pass
            except errors.RateLimitError as held:
                if not is_held(held):  # but the gateway's own word
                    raise
                await self._session.wait_out(held, options)
        return await self._send(self.scheme, request, read, options)

    async def _find_or_wait(
        self, request: APIRequest, read: Callable[[APIResponse], T], options: RequestOptions
    ) -> T:
        """Find out, or wait a moment for the call that does.

        A thousand calls must not try three keys each; but where the one that finds out is slow
        or has failed, the others go on with the usual scheme.
        """
        # Nobody sleeps at the gate meanwhile, for the others could not say that it is held.
        # A search that is refused there ends, and whoever comes first goes on with it.
        at_once = attrs.evolve(options, held_until=-math.inf)
        search = self._search
        if search is None:
            return await self._find(request, read, at_once)
        await self._session.wait_for(search.ended, _PATIENCE)
        search.check(request.task_id)
        if search.ended.is_set() and search.cut_off and self.scheme is None:
            raise _UnsettledError  # and one of the others finds out
        try:
            return await self._send(self.scheme or requests.SCHEMES[0], request, read, at_once)
        except errors.AuthenticationError:
            if self.scheme is not None:  # found meanwhile; a 401 is final then
                raise
        await self._session.wait_for(search.ended, None)
        search.check(request.task_id)
        raise _UnsettledError

    async def _find(
        self, request: APIRequest, read: Callable[[APIResponse], T], options: RequestOptions
    ) -> T:
        search = self._search = _Search()
        refusals, self._refusals = self._refusals, []
        try:
            for scheme in requests.SCHEMES[len(refusals) :]:
                try:
                    return await self._send(scheme, request, read, options)
                except errors.AuthenticationError as error:
                    refusals.append(error)
            search.refusal = refusals[0]
            raise search.refusal  # noqa: TRY301
        except Exception as error:
            search.cut_off = is_held(error)
            self._refusals = refusals if search.cut_off else []
            raise
        finally:
            self._search = None
            search.ended.set()

    async def _send(
        self,
        scheme: Scheme,
        request: APIRequest,
        read: Callable[[APIResponse], T],
        options: RequestOptions,
    ) -> T:
        try:
            result = await self._session.attempt(request, scheme, read, options)
        except _PROOF:
            self._learn(scheme)
            raise
        self._learn(scheme)
        return result

    def _learn(self, scheme: Scheme) -> None:
        self.had_good_answer = True
        self.scheme = scheme
