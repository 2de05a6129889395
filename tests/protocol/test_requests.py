"""The requests: method, path, headers and body of each call in each dialect."""

from __future__ import annotations

import json
from urllib.parse import unquote

import attrs
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


def test_the_requests_for_one_task() -> None:
    """An id is one segment of the path; in the documented form it is sent as it is."""
    for task_id, segment in SEGMENTS:
        path = f"/mj/task/{segment}"
        by_path = APIRequest("GET", f"{path}/image-seed", task_id=task_id)
        documented = APIRequest("GET", "/mj/task//image-seed", form=(task_id,), task_id=task_id)

        assert APIRequest("GET", f"{path}/fetch", task_id=task_id) == requests.fetch(task_id)
        assert by_path == requests.image_seed(task_id, "path")
        assert documented == requests.image_seed(task_id, "multipart")


LISTS: list[tuple[Encoding, list[str], APIRequest]] = [
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
]


def test_lists() -> None:
    """Ids are sent as JSON texts or as a form; errors name the id of a list of one."""
    for encoding, task_ids, row in LISTS:
        expected = attrs.evolve(row, path="/mj/task/list-by-condition")

        assert expected == requests.list_tasks(task_ids, encoding)


def usable(task_id: str) -> bool:
    """Return True if the client accepts the id."""
    try:
        check_id(task_id)
    except ConfigurationError:
        return False
    return True


IDS = st.text(min_size=1, max_size=40).filter(usable)


@given(IDS)
def test_any_id_is_one_segment(task_id: str) -> None:
    """Any id is one segment of ASCII, and decoding returns the id."""
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


def test_the_key_is_in_one_header() -> None:
    """Each scheme sends the key once; a "Bearer " that came with it is not doubled."""
    for scheme, key, expected in HEADERS:
        assert expected == requests.authorization(scheme, Secret(key))


def test_the_order_in_which_schemes_are_tried() -> None:
    """The documents' scheme comes first, then what Java and one-hub take, then C#'s."""
    assert ("bearer", "mj-api-secret", "raw") == requests.SCHEMES
