"""The answers to `image-seed`."""

from __future__ import annotations

from itertools import product
from typing import Any, get_args

import pytest

from _samples import DOCUMENTS, PLAIN, TASK_ID, attributes_of, response_to, sample
from mj_async import ImageSeed, errors
from mj_async._models import SeedSource
from mj_async._protocol.parse import parse_seed_response

SOURCES: list[SeedSource] = ["image-seed", "documented"]
CSHARP_TASK = sample("csharp/fetch_success.json")

SEEDS: list[Any] = [
    ("plus", "plus/seed.json", "636646138"),
    ("csharp", "csharp/seed.json", "636646138"),
    ("newapi", "newapi/seed.json", "636646138"),
    ("onehub", "onehub/seed.json", "636646138"),
    ("a number", b'{"code":1,"description":"","result":1320098173}', "1320098173"),
    ("zero in digits", b'{"code":1,"result":"0"}', "0"),
    ("zero as a number", b'{"code":1,"result":0}', "0"),
    ("white space around it", b'{"code":1,"result":" 636646138\\n"}', "636646138"),
    ("leading zeros stay", b'{"code":1,"result":"007"}', "007"),
    ("twenty digits", b'{"code":1,"result":"18446744073709551615"}', "18446744073709551615"),
    ("64 bits", b'{"code":1,"result":18446744073709551615}', "18446744073709551615"),
    ("a code in digits", b'{"code":"1","result":"5"}', "5"),
    ("no code", b'{"result":"5"}', "5"),
    ("in properties", b'{"code":1,"result":"","properties":{"seed":"5"}}', "5"),
    ("in properties, as a number", b'{"code":1,"properties":{"seed":5}}', "5"),
    ("a list of one envelope", b'[{"code":1,"result":"5"}]', "5"),
]


@pytest.mark.parametrize(("body", "expected"), [pytest.param(*row[1:], id=row[0]) for row in SEEDS])
def test_a_seed_in_an_envelope(body: bytes | str, expected: str) -> None:
    """The seed of an envelope is read as text, from any gateway."""
    for source, headers in product(SOURCES, ({}, PLAIN)):
        seed = parse_seed_response(response_to(body, 200, headers), source)

        assert ImageSeed(TASK_ID, expected, source) == seed
        assert seed.task is None


def test_a_seed_in_a_task() -> None:
    """A task may carry its seed, also in a list of one or an envelope; it is returned, too."""
    for source, wrap in product(SOURCES, (b"%s", b"[%s]", b'{"data":%s}')):
        seed = parse_seed_response(response_to(wrap % CSHARP_TASK), source)

        assert ("636646138", source, TASK_ID) == (seed.seed, seed.source, seed.task_id)
        assert seed.task is not None
        assert "SUCCESS" == seed.task.status


def test_the_documented_answer_has_no_seed() -> None:
    """The documented answer is a task without a seed: None, and the task."""
    for source, document in product(SOURCES, DOCUMENTS):
        seed = parse_seed_response(response_to(f"documented/{document}.json"), source)

        assert (None, TASK_ID) == (seed.seed, seed.task_id)
        assert seed.task is not None
        assert TASK_ID == seed.task.id


def test_the_seed_of_another_task_is_refused() -> None:
    """A task with another id is refused, never returned."""
    for source, wrap in product(SOURCES, (b"%s", b"[%s]")):
        with pytest.raises(errors.UnexpectedAnswerError) as caught:
            parse_seed_response(response_to(wrap % CSHARP_TASK, task_id="1"), source)

        assert "other task" == caught.value.reason


def test_a_task_without_id() -> None:
    """A task without id is about the one in the path; behind the form it could be any."""
    body = b'{"status":"SUCCESS","action":"IMAGINE","seed":"5"}'
    seed = parse_seed_response(response_to(body), "image-seed")

    assert seed.task is not None
    assert ("5", TASK_ID) == (seed.seed, seed.task.id)
    with pytest.raises(errors.UnexpectedAnswerError, match="another task"):
        parse_seed_response(response_to(body), "documented")


UNAVAILABLE: list[Any] = [
    (200, 4, "必须配置账号的Midjourney Bot私信ID", "plus/seed_no_private_channel.json"),
    (400, 4, "关联任务状态错误", "csharp/seed_unfinished_400.json"),
    (200, 3, "无可用的账号实例", "csharp/seed_no_account_200.json"),
    (200, 9, "请配置私聊频道", "csharp/seed_no_private_channel_200.json"),
    (200, 4, "请配置私聊频道", "csharp/seed_no_private_channel_old_200.json"),
    (200, 3, "未找到 seed", "csharp/seed_not_found_200.json"),
    (200, 9, "超时，未找到 seed messageId", "csharp/seed_timeout_200.json"),
    (200, -1, "任务不存在", "csharp/error_business_200.json"),
    (400, 4, "关联任务状态错误", "newapi/seed_unfinished_400.json"),
    (200, 3, "无可用的账号实例", "newapi/seed_no_account_200.json"),
    (200, 9, "请配置私聊频道", "newapi/seed_no_private_channel_200.json"),
    (400, 5, "do_request_failed", "newapi/seed_gateway_timeout_400.json"),
    (200, 5, "empty_response_body", "newapi/seed_upstream_empty.json"),
    (400, 5, "unmarshal_response_body_failed", "newapi/seed_upstream_html_400.json"),
    (200, 0, "Submit success", "newapi/seed_upstream_task_200.json"),
    (400, 4, "get_channel_info_failed", "newapi/seed_channel_failed_400.json"),
    (400, 4, "该任务所属渠道已被禁用", "newapi/seed_channel_disabled_400.json"),
    (200, 1, "成功", '{"code":1,"description":"成功","result":""}'.encode()),
    (200, 1, "", b'{"code":1,"result":null}'),
    (200, 1, "", b'{"code":1,"result":1.5}'),
    (200, 1, "", b'{"code":1,"result":true}'),
    (200, 1, "", b'{"code":1,"result":-5}'),
    (200, 1, "", b'{"code":1,"result":"soon"}'),
    (200, 1, "", '{"code":1,"result":"１２"}'.encode()),
    (200, 1, "", b'{"code":1,"result":"123456789012345678901"}'),
    (200, 1, "", b'{"code":1,"result":18446744073709551616}'),
    (200, 1, "", b'{"code":1,"result":["5"],"properties":{"seed":null}}'),
    (200, 22, "", b'{"code":22,"result":"5"}'),
    (200, None, "no", b'{"error":"no"}'),
]


@pytest.mark.parametrize(
    ("status", "code", "description", "body"),
    [
        pytest.param(*row, id=row[3] if isinstance(row[3], str) else row[3].decode())
        for row in UNAVAILABLE
    ],
)
def test_an_envelope_without_a_seed(
    status: int, code: int | None, description: str, body: bytes | str
) -> None:
    """The error has the gateway's reason, whatever the status below 500."""
    for source in SOURCES:
        with pytest.raises(errors.SeedUnavailableError) as caught:
            parse_seed_response(response_to(body, status), source)

        assert (code, description) == (caught.value.code, caught.value.description)
        assert (TASK_ID, None) == (caught.value.task_id, caught.value.task)


REFUSED: list[Any] = [
    ("csharp: unknown id is 404, code 3", "csharp/seed_unknown_404.json", 404, {"code": 3}),
    ("newapi: unknown id is 400", "newapi/unknown_id_400.json", 400, {"code": 4}),
    ("empty answer", b"", 200, {"code": None}),
    ("204", b"", 204, {"code": None}),
    ("null", b"null", 200, {"code": None}),
    ("webman: unknown id", "webman/fetch_unknown_200.json", 200, {"code": 404}),
]
REFUSED_OTHERWISE: list[Any] = [
    (errors.UnsupportedError, "java: no such route", "java/seed_no_route_404.json", 404, {}),
    (
        errors.UnsupportedError,
        "newapi: java behind it has no such route",
        "newapi/seed_upstream_java_404.json",
        404,
        {"code": 0, "description": ""},
    ),
    (
        errors.ServerError,
        "newapi: its own key was refused upstream",
        "newapi/seed_upstream_empty.json",
        401,
        {"code": 5, "description": "empty_response_body"},
    ),
    (errors.AuthenticationError, "webman: key", "webman/refused_key_200.json", 200, {"code": 403}),
    (errors.UnsupportedError, "webman: no route", "webman/no_route_200.json", 200, {"code": 404}),
    (errors.RateLimitError, "overloaded in a 200", "newapi/overloaded_429.json", 200, {"code": 30}),
    (errors.APIError, "a 400 without code", b'{"message":"no"}', 400, {"description": "no"}),
    (errors.APIError, "a 400 in words", b"bad request", 400, {"description": "bad request"}),
]


@pytest.mark.parametrize(
    ("kind", "body", "status", "expected"),
    [pytest.param(errors.TaskNotFoundError, *row[1:], id=row[0]) for row in REFUSED]
    + [pytest.param(row[0], *row[2:], id=row[1]) for row in REFUSED_OTHERWISE],
)
def test_seed_tells_refusals_apart(
    kind: type[errors.APIError], body: bytes | str, status: int, expected: dict[str, Any]
) -> None:
    """An unknown id, a missing route and a refused key are not a missing seed."""
    for source in SOURCES:
        with pytest.raises(errors.APIError) as caught:
            parse_seed_response(response_to(body, status), source)

        assert kind is type(caught.value)
        assert (status, TASK_ID) == (caught.value.status_code, caught.value.task_id)
        assert expected == attributes_of(caught.value, expected)


def test_a_list_of_two_tasks_is_no_seed() -> None:
    """Only a list of one can be about the task asked for."""
    with pytest.raises(errors.UnexpectedAnswerError) as caught:
        parse_seed_response(response_to("csharp/list.json"), "documented")

    assert "json" == caught.value.reason


def test_the_sources_of_a_seed() -> None:
    """A seed comes from the list or from one of both forms of the endpoint."""
    assert {"list", *SOURCES} == set(get_args(SeedSource))
