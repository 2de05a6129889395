"""The public names of `mj_async.distributed`; the file `public_names.txt` lists them.

`PYTHONPATH=tests python tests/distributed/test_distributed_names.py` writes it again.
"""

from __future__ import annotations

from pathlib import Path

import mj_async.distributed
from test_house import test_all_is_sorted_and_complete as check_all
from test_public_names import describe

SNAPSHOT = Path(__file__).with_name("public_names.txt")


def test_the_public_names_are_as_written_down() -> None:
    """A change of the public names also changes `public_names.txt`, so a review sees it."""
    written = SNAPSHOT.read_text(encoding="utf-8").splitlines()

    assert written == list(describe(mj_async.distributed))


def test_the_door_is_sorted_and_complete() -> None:
    """`__all__` is sorted and complete, as in the other public modules."""
    check_all(mj_async.distributed)


if __name__ == "__main__":
    SNAPSHOT.write_text("\n".join(describe(mj_async.distributed)) + "\n", encoding="utf-8")
