"""The bodies of webhooks."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import Any

import pytest

from _samples import DOCUMENTS, TASK_ID, sample
from mj_async import errors, parse_task

TASK = sample("java/fetch_success.json")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_webhook_is_read_like_an_answer(document: str) -> None:
    """Bytes, text and a decoded body give the same task."""
    body = sample(f"documented/{document}.json")
    task = parse_task(body)

    assert TASK_ID == task.id
    assert task == parse_task(body.decode())
    assert task == parse_task(json.loads(body))
    assert task == parse_task(MappingProxyType(json.loads(body)))
    assert json.loads(body) == task.to_dict()


def test_a_webhook_in_an_envelope() -> None:
    """A task may be wrapped, as bytes and decoded."""
    body = sample("webman/fetch_success.json")

    assert TASK_ID == parse_task(body).id
    assert TASK_ID == parse_task(json.loads(body)).id
    assert TASK_ID == parse_task(MappingProxyType(json.loads(body))).id


JUNK: list[Any] = [
    ("nothing", b""),
    ("no text", ""),
    ("a blank line", b"\n"),
    ("null", b"null"),
    ("a page", b"<html></html>"),
    ("words", "hello"),
    ("a list", b"[" + TASK + b"]"),
    ("a refusal", sample("newapi/unknown_id_400.json")),
    ("a seed", sample("plus/seed.json")),
    ("a task without id", b'{"status":"SUCCESS","action":"IMAGINE"}'),
    ("a task with an empty id", {"id": "", "status": "SUCCESS", "action": "IMAGINE"}),
    ("a task with an odd id", {"id": [1], "status": "SUCCESS"}),
    ("an empty object", {}),
    ("half a surrogate pair", '{"id":"1","status":"\ud83d"}'),
    ("cut short", TASK[:-1]),
    ("nested too deeply", {"id": "1", "status": "x", "more": json.loads("[" * 99 + "]" * 99)}),
    ("nested very deeply", {"id": "1", "more": json.loads("[" * 900 + "]" * 900)}),
    ("nothing at all", None),
    ("a number", 5),
]


@pytest.mark.parametrize("payload", [pytest.param(row[1], id=row[0]) for row in JUNK])
def test_junk_is_no_webhook(payload: Any) -> None:
    """Junk, and a body without an id, are an UnexpectedAnswerError without status."""
    with pytest.raises(errors.UnexpectedAnswerError) as caught:
        parse_task(payload)

    assert caught.value.status_code is None
    assert caught.value.task_id is None
    assert "base_url" not in str(caught.value)
