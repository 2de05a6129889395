"""The options that all commands share: the gateway, its key and its dialect."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import attrs
from cyclopts import Parameter

from mj_async import AsyncMJClient, Dialect, errors

from .output._terminal import echo_err

_MAX_KEY_BYTES = 65_536
# Seeds take at most half of the connections, because each may hold one for a minute.
_CONNECTIONS_PER_SEED = 2
_MIN_CONNECTIONS = 64
_HINT = "give --api-key-file a file that has only the key in it, or set MJ_API_KEY"

TaskId: TypeAlias = Annotated[str, Parameter(name="ID")]
# Without the flag, cyclopts reads a lone "-" as an option.
Source: TypeAlias = Annotated[str | None, Parameter(name="--from", allow_leading_hyphen=True)]


@Parameter(name="*", group="Gateway")
@attrs.frozen(kw_only=True)
class GatewayOptions:
    """The gateway. There is no option for the key: other users could read it in the process list.

    Args:
        base_url: The address of the gateway; by default MJ_BASE_URL.
        api_key_file: A file with the key in it; by default the key is MJ_API_KEY.
        auth: How the key is sent.
        ids: How ids are sent in a list request.
        seed_form: How a seed is requested.
    """

    base_url: str | None = None
    api_key_file: Path | None = None
    auth: Literal["auto", "bearer", "raw", "mj-api-secret", "none"] = "auto"
    ids: Literal["auto", "json", "multipart"] = "auto"
    seed_form: Literal["auto", "path", "multipart"] = "auto"

    @property
    def address(self) -> str:
        """The address of the gateway, as the user wrote it; "" if it is missing."""
        return self.base_url or os.environ.get("MJ_BASE_URL", "")

    def make_client(self, *, warn: bool = True, **options: Any) -> AsyncMJClient:
        """Return a client for this gateway.

        Args:
            warn: Whether to print the client's warnings, such as the one about plain http.
            options: Further options of `AsyncMJClient`.

        Raises:
            ConfigurationError: The key, the address or the dialect is missing or invalid.
        """
        if self.base_url is None and not os.environ.get("MJ_BASE_URL"):
            raise errors.ConfigurationError("no gateway: give --base-url, or set MJ_BASE_URL")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            client = AsyncMJClient(
                self.read_api_key(),
                base_url=self.base_url,
                dialect=Dialect(auth=self.auth, ids=self.ids, seed=self.seed_form),
                **options,
            )
        for warning in caught if warn else ():
            echo_err(f"warning: {warning.message}; next: use an https address")
        return client

    def read_api_key(self) -> str | None:
        """Return the key of the file; None if the client reads it from the environment.

        Raises:
            ConfigurationError: There is no key, or its file cannot be read.
        """
        if self.api_key_file is not None:
            return _read_key_file(self.api_key_file)
        if self.auth != "none" and not os.environ.get("MJ_API_KEY"):
            raise errors.ConfigurationError("no key: set MJ_API_KEY, or give --api-key-file")
        return None


def max_connections_for(concurrency: int) -> int:
    """PURE: return `max_connections` for that many seeds at the same time."""
    return max(_MIN_CONNECTIONS, _CONNECTIONS_PER_SEED * concurrency)


def _read_key_file(path: Path) -> str:
    # No message shows the path: a user may give the key in place of the path.
    try:
        with path.open("rb") as file:
            return file.read(_MAX_KEY_BYTES).decode().strip()
    except UnicodeDecodeError:
        problem = "it is not UTF-8 text"
    except OSError as error:
        problem = str(error.strerror)
    raise errors.ConfigurationError(f"cannot read the key file: {problem}; next: {_HINT}")
