"""The options that all commands share: which gateway, which key, which dialect."""

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
_CONNECTIONS_PER_SEED = 2
_MIN_CONNECTIONS = 64
_HINT = "give --api-key-file a file that holds the key alone, or set MJ_API_KEY"

TaskId: TypeAlias = Annotated[str, Parameter(name="ID")]
# A lone "-" looks like an option otherwise.
Source: TypeAlias = Annotated[str | None, Parameter(name="--from", allow_leading_hyphen=True)]


@Parameter(name="*", group="Gateway")
@attrs.frozen(kw_only=True)
class GatewayOptions:
    """How the gateway is reached. There is no option for the key: others would see it.

    Args:
        base_url: The gateway's address; else MJ_BASE_URL.
        api_key_file: A file that holds the key; else MJ_API_KEY.
        auth: How the key is sent.
        ids: How a list of ids is sent.
        seed_form: How a seed is asked for.
    """

    base_url: str | None = None
    api_key_file: Path | None = None
    auth: Literal["auto", "bearer", "raw", "mj-api-secret", "none"] = "auto"
    ids: Literal["auto", "json", "multipart"] = "auto"
    seed_form: Literal["auto", "path", "multipart"] = "auto"

    @property
    def address(self) -> str:
        """The gateway's address, as the user wrote it; "" for none."""
        return self.base_url or os.environ.get("MJ_BASE_URL", "")

    def make_client(self, *, warn: bool = True, **options: Any) -> AsyncMJClient:
        """Make the client.

        Args:
            warn: Whether what is dangerous is told.
            options: Further ones of the client's.

        Raises:
            ConfigurationError: Key, address or dialect cannot work.
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
            echo_err(f"warning: {warning.message}; next: give an address with https")
        return client

    def read_api_key(self) -> str | None:
        """Give the key that is in a file; None where it is in the environment, or is not needed.

        Raises:
            ConfigurationError: It is nowhere, or cannot be read.
        """
        if self.api_key_file is not None:
            return _read_key_file(self.api_key_file)
        if self.auth != "none" and not os.environ.get("MJ_API_KEY"):
            raise errors.ConfigurationError("no key: set MJ_API_KEY, or give --api-key-file")
        return None


def max_connections_for(concurrency: int) -> int:
    """PURE: give the connections for so many seeds at once, of which these hold half."""
    return max(_MIN_CONNECTIONS, _CONNECTIONS_PER_SEED * concurrency)


def _read_key_file(path: Path) -> str:
    """Read the key; the path is not shown, for it may be the key, given in the wrong place."""
    try:
        with path.open("rb") as file:
            return file.read(_MAX_KEY_BYTES).decode().strip()
    except UnicodeDecodeError:
        problem = "it is no text"
    except OSError as error:
        problem = str(error.strerror)
    raise errors.ConfigurationError(f"cannot read the key file: {problem}; next: {_HINT}")
