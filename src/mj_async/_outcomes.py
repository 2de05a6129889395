"""What bulk calls yield: one outcome an id, good or bad."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import attrs

from . import errors

if TYPE_CHECKING:
    from ._models import ImageSeed

_FINAL_ERRORS = (errors.TaskNotFoundError, errors.TaskFailedError, errors.TaskCancelledError)


@attrs.frozen
class SeedOutcome:
    """What became of one id in `AsyncMJClient.image_seeds`.

    Exactly one of `seed` and `error` is None.

    Args:
        task_id: The id.
        seed: The seed.
        error: Why there is none.
    """

    task_id: str
    seed: ImageSeed | None = None
    error: errors.MJError | None = None

    @property
    def final(self) -> bool:
        """Whether asking again could not change it.

        A seed, an unknown id, a failed or cancelled task and a finished one without a seed
        are final; an unfinished task and a gateway in trouble are not.
        """
        if isinstance(self.error, errors.SeedUnavailableError):
            return self.error.task is not None and self.error.task.succeeded
        return self.error is None or isinstance(self.error, _FINAL_ERRORS)

    def unwrap(self) -> ImageSeed:
        """Give the seed.

        Returns:
            The seed.

        Raises:
            MJError: The error, where there is no seed.
        """
        if self.error is not None:
            raise self.error
        return cast("ImageSeed", self.seed)
