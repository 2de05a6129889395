"""The published documents: exactly their requests, and their answers with nothing lost."""

from __future__ import annotations

import json
import re

import httpx
import pytest
import respx

from mj_async import DOCUMENTED, AsyncMJClient, errors

pytestmark = pytest.mark.asyncio

BASE_URL = "https://api.quickrouter.ai"
KEY = "sk-documented"
DOCUMENT = {
    "id": "1730621826053455",
    "action": "IMAGINE",
    "customId": "",
    "botType": "",
    "prompt": "pig --v 6.1",
    "promptEn": "pig --v 6.1",
    "description": "Submit success",
    "state": "",
    "submitTime": 1730621826053,
    "startTime": 1730621828024,
    "finishTime": 1730621855817,
    "imageUrl": "https://cdn.example/pig.png?ex=6728831f&is=6727319f&hm=f6d701914d608e4d&",
    "status": "SUCCESS",
    "progress": "100%",
    "failReason": "",
    "buttons": [
        {"customId": "MJ::JOB::upsample::1", "emoji": "", "label": "U1", "type": 2, "style": 2}
    ],
    "maskBase64": "",
    "properties": {"finalPrompt": "pig --v 6.1", "finalZhPrompt": ""},
}


def documented_client() -> AsyncMJClient:
    """Make a client that speaks as the documents do."""
    return AsyncMJClient(KEY, base_url=BASE_URL, dialect=DOCUMENTED)


def form_fields(request: httpx.Request) -> list[tuple[str, str]]:
    """Parse a multipart body by hand: each part has one header and a value."""
    content_type = request.headers["content-type"]
    boundary = content_type.removeprefix("multipart/form-data; boundary=")
    assert re.fullmatch(r"[0-9a-f]{32}", boundary)
    *parts, end = request.content.decode().split(f"--{boundary}")
    assert "--\r\n" == end
    pattern = r'\r\nContent-Disposition: form-data; name="(\w+)"\r\n\r\n(.*)\r\n'
    matches = [re.fullmatch(pattern, part) for part in parts[1:]]
    return [(match[1], match[2]) for match in matches if match]


@respx.mock
async def test_fetch_as_documented() -> None:
    """GET /mj/task/{id}/fetch with the key as Bearer, and no body."""
    route = respx.get(f"{BASE_URL}/mj/task/1730621826053455/fetch").respond(json=DOCUMENT)

    async with documented_client() as client:
        task = await client.fetch_task("1730621826053455")

    request = route.calls.last.request
    assert b"/mj/task/1730621826053455/fetch" == request.url.raw_path
    assert f"Bearer {KEY}" == request.headers["authorization"]
    assert b"" == request.content
    assert DOCUMENT == task.to_dict()


@respx.mock
async def test_list_as_documented() -> None:
    """POST list-by-condition with a field `ids` for each id."""
    others = [{**DOCUMENT, "id": "456456456"}, {**DOCUMENT, "id": "1231234123"}]
    route = respx.post(f"{BASE_URL}/mj/task/list-by-condition").respond(json=others)

    async with documented_client() as client:
        tasks = await client.list_tasks(["1231234123", "456456456"])

    request = route.calls.last.request
    assert b"/mj/task/list-by-condition" == request.url.raw_path
    assert [("ids", "1231234123"), ("ids", "456456456")] == form_fields(request)
    assert f"Bearer {KEY}" == request.headers["authorization"]
    assert [others[1], others[0]] == [task.to_dict() for task in tasks]
    assert 1 == route.call_count


@respx.mock
async def test_list_answered_by_one_task_as_documented() -> None:
    """One task instead of an array is the answer for its id."""
    respx.post(f"{BASE_URL}/mj/task/list-by-condition").respond(json=DOCUMENT)

    async with documented_client() as client:
        tasks = await client.list_tasks(["1730621826053455"])

    assert [DOCUMENT] == [task.to_dict() for task in tasks]


@respx.mock
async def test_the_documents_example_answers_for_no_other_id() -> None:
    """A task that was not asked for is not returned, and asks nothing more."""
    route = respx.post(f"{BASE_URL}/mj/task/list-by-condition").respond(json=DOCUMENT)

    async with documented_client() as client:
        tasks = await client.list_tasks(["1231234123", "456456456"])

    assert (0, ("1231234123", "456456456")) == (len(tasks), tasks.missing)
    assert 1 == route.call_count


@respx.mock
async def test_seed_as_documented() -> None:
    """GET /mj/task//image-seed, its double slash kept, with a field `ids`."""
    route = respx.get(f"{BASE_URL}/mj/task//image-seed").respond(json=DOCUMENT)

    async with documented_client() as client:
        seed = await client.image_seed("1730621826053455")

    request = route.calls.last.request
    assert ("GET", b"/mj/task//image-seed") == (request.method, request.url.raw_path)
    assert [("ids", "1730621826053455")] == form_fields(request)
    assert str(len(request.content)) == request.headers["content-length"]
    assert (None, "documented") == (seed.seed, seed.source)
    assert DOCUMENT == seed.task.to_dict() if seed.task else False


@respx.mock
async def test_a_documented_seed_of_another_task_is_refused() -> None:
    """new-api may relay the empty id to a random failed task; that is never returned."""
    respx.get(f"{BASE_URL}/mj/task//image-seed").respond(json=DOCUMENT)

    async with documented_client() as client:
        with pytest.raises(errors.UnexpectedAnswerError) as caught:
            await client.image_seed("1231234123")

    assert ("other task", "1231234123") == (caught.value.reason, caught.value.task_id)


@respx.mock
async def test_the_documented_dialect_finds_out_nothing() -> None:
    """Under DOCUMENTED a refusal is final: one request, and no other form of it."""
    seed = respx.get(f"{BASE_URL}/mj/task//image-seed").respond(404, json={"error": "Not Found"})
    page = respx.post(f"{BASE_URL}/mj/task/list-by-condition").respond(415)
    fetch = respx.get(f"{BASE_URL}/mj/task/1/fetch").respond(401, json={"error": {"message": "no"}})

    async with documented_client() as client:
        with pytest.raises(errors.UnsupportedError):
            await client.image_seed("1")
        with pytest.raises(errors.APIError):
            await client.list_tasks(["1"])
        with pytest.raises(errors.AuthenticationError):
            await client.fetch_task("1")

    assert [1, 1, 1] == [route.call_count for route in (seed, page, fetch)]


@respx.mock
async def test_json_ids_are_strings() -> None:
    """As gateways read them, ids are a JSON array of strings, leading zeros kept."""
    route = respx.post(f"{BASE_URL}/mj/task/list-by-condition").respond(json=[])

    async with AsyncMJClient(KEY, base_url=BASE_URL) as client:
        await client.list_tasks(["0191304188213322"])

    request = route.calls.last.request
    assert {"ids": ["0191304188213322"]} == json.loads(request.content)
    assert "application/json" == request.headers["content-type"]
