"""What is asked: method, path, headers and body of each call in each dialect."""

from __future__ import annotations

import json
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mj_async._config import check_id
from mj_async._credentials import Secret
from mj_async._protocol import requests
from mj_async._protocol.requests import APIRequest, Encoding, Scheme, SeedRoute
from mj_async.errors import ConfigurationError

SEGMENTS = [
    ("1730621826053455", "1730621826053455"),
    ("0741798445574458", "0741798445574458"),
    ("task_1234567890", "task_1234567890"),
    ("a-b.c~d", "a-b.c~d"),
    ("a b", "a%20b"),
    ("a/b", "a%2Fb"),
    ("a?b#c", "a%3Fb%23c"),
    ("50%", "50%25"),
    ("%2F", "%252F"),
    ("a+b&c=d;e:f@g", "a%2Bb%26c%3Dd%3Be%3Af%40g"),
    ("für", "f%C3%BCr"),
    ("猫", "%E7%8C%AB"),
]


@pytest.mark.parametrize(("task_id", "segment"), SEGMENTS)
def test_fetch(task_id: str, segment: str) -> None:
    """One task is asked for by a GET, its id one segment of the path."""
    expected = APIRequest(
        "GET", f"/mj/task/{segment}/fetch", json_body=None, form=(), task_id=task_id
    )

    assert expected == requests.fetch(task_id)


@pytest.mark.parametrize(("task_id", "segment"), SEGMENTS)
def test_image_seed_by_path(task_id: str, segment: str) -> None:
    """Gateways read the id of a seed's task from the path."""
    expected = APIRequest("GET", f"/mj/task/{segment}/image-seed", task_id=task_id)

    assert expected == requests.image_seed(task_id, "path")


@pytest.mark.parametrize("task_id", [task_id for task_id, _ in SEGMENTS])
def test_image_seed_as_documented(task_id: str) -> None:
    """The documents leave the segment empty and put the id, as it is, into a form."""
    expected = APIRequest("GET", "/mj/task//image-seed", form=(task_id,), task_id=task_id)

    assert expected == requests.image_seed(task_id, "multipart")


@pytest.mark.parametrize(
    ("encoding", "task_ids", "expected"),
    [
        (
            "json",
            ["1231234123", "0741"],
            APIRequest("POST", "", json_body=b'{"ids": ["1231234123", "0741"]}'),
        ),
        ("json", ["0741"], APIRequest("POST", "", json_body=b'{"ids": ["0741"]}', task_id="0741")),
        (
            "json",
            ["猫"],
            APIRequest("POST", "", json_body='{"ids": ["猫"]}'.encode(), task_id="猫"),
        ),
        ("json", ['a"b'], APIRequest("POST", "", json_body=b'{"ids": ["a\\"b"]}', task_id='a"b')),
        ("multipart", ["1231234123", "0741"], APIRequest("POST", "", form=("1231234123", "0741"))),
        ("multipart", ["0741"], APIRequest("POST", "", form=("0741",), task_id="0741")),
    ],
)
def test_list(encoding: Encoding, task_ids: list[str], expected: APIRequest) -> None:
    """Ids are sent as JSON texts or as a form; one alone is named in errors."""
    asked = requests.list_tasks(task_ids, encoding)

    assert ("POST", "/mj/task/list-by-condition") == (asked.method, asked.path)
    assert (expected.json_body, expected.form) == (asked.json_body, asked.form)
    assert expected.task_id == asked.task_id


def usable(task_id: str) -> bool:
    """Tell whether the client lets such an id pass."""
    try:
        check_id(task_id)
    except ConfigurationError:
        return False
    return True


IDS = st.text(min_size=1, max_size=40).filter(usable)


@given(IDS)
def test_any_id_is_one_segment(task_id: str) -> None:
    """Whatever its letters, an id stays one segment of ASCII, and decoding gives it back."""
    routes: list[SeedRoute] = ["path", "multipart"]
    seed = requests.image_seed(task_id, routes[0])
    (_, mj, task, segment, call) = requests.fetch(task_id).path.split("/")

    assert ("mj", "task", "fetch", task_id) == (mj, task, call, unquote(segment, errors="strict"))
    assert f"/mj/task/{segment}/image-seed" == seed.path
    assert segment.isascii()
    assert not set("?#% ") & set(segment.replace("%", "", segment.count("%")))


@given(st.lists(IDS, min_size=1, max_size=5))
def test_any_ids_are_sent_as_they_are(task_ids: list[str]) -> None:
    """In JSON as in the form an id is itself."""
    body = requests.list_tasks(task_ids, "json").json_body

    assert body is not None
    assert {"ids": task_ids} == json.loads(body)
    assert tuple(task_ids) == requests.list_tasks(task_ids, "multipart").form


HEADERS: list[tuple[Scheme, str, dict[str, str]]] = [
    ("bearer", "sk-1", {"Authorization": "Bearer sk-1"}),
    ("bearer", "Bearer sk-1", {"Authorization": "Bearer sk-1"}),
    ("bearer", "bearer  sk-1", {"Authorization": "Bearer sk-1"}),
    ("bearer", "bearersk-1", {"Authorization": "Bearer bearersk-1"}),
    ("raw", "sk-1", {"Authorization": "sk-1"}),
    ("raw", "Bearer sk-1", {"Authorization": "Bearer sk-1"}),
    ("mj-api-secret", "sk-1", {"mj-api-secret": "sk-1"}),
    ("mj-api-secret", "Bearer sk-1", {"mj-api-secret": "sk-1"}),
    ("none", "", {}),
    ("none", "sk-1", {}),
]


@pytest.mark.parametrize(("scheme", "key", "expected"), HEADERS)
def test_the_key_is_in_one_header(scheme: Scheme, key: str, expected: dict[str, str]) -> None:
    """Each scheme sends the key once; a "Bearer " that came with it is not doubled."""
    assert expected == requests.authorization(scheme, Secret(key))


def test_the_order_in_which_schemes_are_tried() -> None:
    """The documents' scheme comes first, then what Java and one-hub take, then C#'s."""
    assert ("bearer", "mj-api-secret", "raw") == requests.SCHEMES
