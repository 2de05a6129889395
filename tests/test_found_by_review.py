"""What reviews found: each was wrong once."""

from __future__ import annotations

import gzip
import json
import pickle
from types import MappingProxyType
from typing import Any

import pytest

from _samples import reply_to
from mj_async import SeedOutcome, Task, errors, parse_task
from mj_async._protocol.decode import read_json, read_json_slowly
from mj_async._protocol.decode import read_task as structure_task
from mj_async._protocol.parse import parse_list_response, parse_task_response

KEY = "sk-0123456789abcdefghij"
LONG = "1" + "0" * 400


def nested(depth: int) -> Any:
    """Make lists in lists."""
    return json.loads("[" * depth + "]" * depth)


def outcome_of(read: Any, body: bytes) -> str:
    """Say what a decoder makes of a body."""
    try:
        return repr(read(body))
    except ValueError:
        return "refused"


@pytest.mark.parametrize("key", ["seed", "id", "buttons", "imageUrls", "videoUrls", "prompt", "x"])
def test_depth_is_bounded_wherever_it_is_kept(key: str) -> None:
    """What is kept of an answer can be compared and pickled, whatever key it came under."""
    with pytest.raises(ValueError, match="levels deep"):
        structure_task({"id": "1", key: nested(200)})

    assert pickle.dumps(structure_task({"id": "1", key: nested(20)}))


@pytest.mark.parametrize(
    "body",
    [rb'"\\ud83d\udc00"', rb'"\\ud83d"', LONG.encode(), f"[-{LONG}]".encode()],
    ids=["a pair behind a backslash", "no escape at all", "a long integer", "a negative one"],
)
def test_both_decoders_agree(body: bytes) -> None:
    """A backslash before an escape does not hide half a pair, and no number is endless."""
    assert outcome_of(read_json, body) == outcome_of(read_json_slowly, body)


def test_writing_what_was_read_may_not_recurse_too_deeply() -> None:
    """The check for half a pair fails as a ValueError, at any depth."""
    for depth in range(700, 1100, 3):
        body = b'["\\ud800",' + b"[" * depth + b"]" * depth + b"]"
        assert "refused" == outcome_of(read_json_slowly, body)


@pytest.mark.parametrize(
    "raw",
    [
        {"buttons": ""},
        {"buttons": {}},
        {"imageUrls": [""]},
        {"videoUrls": ["", "a"]},
        {"seed": ""},
        {"status": ""},
    ],
    ids=str,
)
def test_empty_values_come_back(raw: dict[str, Any]) -> None:
    """What came with an empty value is written back with it."""
    assert {"id": "1", **raw} == structure_task({"id": "1", **raw}).to_dict()


def test_a_key_given_with_bearer_is_concealed_without_it() -> None:
    """A gateway that quotes the bare key is not quoted, also where the key came with Bearer."""
    body = json.dumps({"error": {"message": f"bad {KEY}"}}).encode()
    with pytest.raises(errors.AuthenticationError) as caught:
        parse_task_response(reply_to(body, 401, key=f"Bearer {KEY}"))

    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("body", "status"),
    [(b" " * 785 + KEY.encode(), 200), (b" " * 1985 + KEY.encode(), 401)],
    ids=["snippet", "text"],
)
def test_no_half_of_the_key_is_shown(body: bytes, status: int) -> None:
    """The key is taken out before a text is cut, so that no half of it stays."""
    with pytest.raises(errors.MJError) as caught:
        parse_task_response(reply_to(body, status, key=KEY))

    assert KEY[:8] not in f"{caught.value}{vars(caught.value)}"


def test_no_half_of_the_key_is_shown_of_what_is_too_large() -> None:
    """The same for a body over its cap."""
    body = b"x" * 190 + KEY.encode() + b"x" * 900
    with pytest.raises(errors.UnexpectedAnswerError) as caught:
        reply_to(body, key=KEY).unpacked(500)

    assert KEY[:8] not in str(caught.value)


def test_a_code_is_clean_too() -> None:
    """A code that is a text has no key, no control characters and an end."""
    body = json.dumps({"error": {"message": "m", "code": f"\x1b[31m{KEY}{'x' * 5000}"}}).encode()
    with pytest.raises(errors.APIError) as caught:
        parse_task_response(reply_to(body, 401, key=KEY))

    said = str(caught.value)
    assert (False, False) == (KEY in said, "\x1b" in said)
    assert len(said) < 500


def test_gzip_may_have_several_members() -> None:
    """An empty member before the others does not make the body empty."""
    packed = gzip.compress(b"") + gzip.compress(b'{"id":') + gzip.compress(b'"1"}')
    reply = reply_to(packed, 200, {"content-encoding": "gzip"})

    assert b'{"id":"1"}' == reply.unpacked(10).body
    with pytest.raises(errors.UnexpectedAnswerError, match="larger"):
        reply.unpacked(9)


@pytest.mark.parametrize("encoding", ["gzip", "br"])
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, errors.AuthenticationError),
        (204, errors.TaskNotFoundError),
        (502, errors.ServerError),
    ],
)
def test_nothing_needs_no_unpacking(status: int, kind: type[errors.MJError], encoding: str) -> None:
    """An answer without a body means what its status says, whatever encoding it names."""
    with pytest.raises(kind):
        parse_task_response(reply_to(b"", status, {"content-encoding": encoding}).unpacked(100))


def test_an_array_that_is_not_closed_is_cut_short() -> None:
    """A body that ends behind a task of a list has been cut, too."""
    with pytest.raises(errors.UnexpectedAnswerError) as caught:
        parse_list_response(reply_to(b'[{"id":"1","status":"SUCCESS"}'))

    assert "cut short" == caught.value.reason


@pytest.mark.parametrize(
    "body", [b'{"success":false,"message":"no","data":[]}', b'[{"error":"no"}]'], ids=str
)
def test_a_refusal_is_no_list(body: bytes) -> None:
    """A refusal that holds a list, or stands in one, is no list of tasks."""
    with pytest.raises(errors.MJError):
        parse_list_response(reply_to(body))


def test_a_byte_order_mark_alone_is_nothing() -> None:
    """It is an empty body, which means an unknown id."""
    with pytest.raises(errors.TaskNotFoundError):
        parse_task_response(reply_to(b"\xef\xbb\xbf"))


@pytest.mark.parametrize(
    ("code", "description", "final"),
    [
        (5, "do_request_failed", False),
        (9, "超时", False),
        (3, "无可用的账号实例", False),
        (3, "未找到 seed", True),
        (4, "该任务所属渠道已被禁用", True),
    ],
)
def test_a_finished_task_may_have_its_seed_later(
    code: int, description: str, *, final: bool
) -> None:
    """Time-outs and missing accounts pass; what the gateway does not have is final."""
    error = errors.SeedUnavailableError(
        task_id="1", task=Task("1", status="SUCCESS"), code=code, description=description
    )

    assert final == SeedOutcome("1", error=error).final


def test_a_deep_webhook_is_junk() -> None:
    """A mapping that is nested too deeply is refused like any junk."""
    with pytest.raises(errors.UnexpectedAnswerError):
        parse_task({"id": "1", "status": "x", "more": nested(900)})


def test_a_webhook_may_be_any_mapping() -> None:
    """Envelopes are taken off mappings of other kinds, too."""
    assert "1" == parse_task(MappingProxyType({"data": {"id": "1", "status": "x"}})).id
