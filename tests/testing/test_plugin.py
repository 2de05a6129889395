"""The pytest plugin: a plain fixture, together with other plugins."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest_plugins = ["pytester"]


@pytest.fixture(autouse=True)
def own_project(pytester: pytest.Pytester) -> None:
    """Give each run its own project, without the settings and the conftest of this one."""
    pytester.makeini("[pytest]")


WAITS = """
import anyio
import pytest

{mark}
async def test_a_wait_takes_no_time(mj_gateway):
    mj_gateway.add_task("1", seed="5")
    async with mj_gateway.client() as client:
        task = await client.wait_for_task("1")
        assert "5" == (await client.image_seed(task)).seed
    assert 12 <= mj_gateway.now <= 20

{mark}
async def test_each_test_has_its_own(mj_gateway):
    assert 0 == mj_gateway.now
    async with mj_gateway.client() as client:
        assert ("1",) == (await client.list_tasks(["1"])).missing
"""
BACKEND = """
@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request):
    return request.param
"""
ANYIO = "@pytest.mark.anyio"
STRICT = ("-o", "asyncio_mode=strict", "-o", "asyncio_default_fixture_loop_scope=function")
AUTO = ("-o", "asyncio_mode=auto", "-o", "asyncio_default_fixture_loop_scope=function")


@pytest.mark.parametrize(
    ("mark", "options", "passed"),
    [
        pytest.param("@pytest.mark.asyncio", STRICT, 2, id="pytest-asyncio, strict"),
        pytest.param("", AUTO, 2, id="pytest-asyncio, auto"),
        pytest.param(BACKEND + ANYIO, ("-p", "no:asyncio"), 4, id="anyio alone"),
        pytest.param(BACKEND + ANYIO, STRICT, 4, id="anyio beside pytest-asyncio"),
    ],
)
def test_the_fixture_works_beside_other_plugins(
    pytester: pytest.Pytester, mark: str, options: tuple[str, ...], passed: int
) -> None:
    """The gateway's time is virtual with any plugin for async tests, on asyncio and trio."""
    head, _, last = mark.rpartition("\n")
    text = WAITS.format(mark=last).replace("import pytest\n", f"import pytest\n{head}\n", 1)
    pytester.makepyfile(text)

    ended = pytester.runpytest_subprocess("-W", "error", *options)

    ended.assert_outcomes(passed=passed)


def test_the_fixture_is_for_plain_functions_too(pytester: pytest.Pytester) -> None:
    """It is not an async fixture: a test may run its own event loop."""
    pytester.makepyfile(
        """
        import anyio

        def test_by_hand(mj_gateway):
            mj_gateway.add_task("1")

            async def main():
                async with mj_gateway.client() as client:
                    return await client.wait_for_task("1")

            for backend in ("asyncio", "trio"):
                assert anyio.run(main, backend=backend).succeeded
        """
    )

    pytester.runpytest_subprocess("-W", "error", *STRICT).assert_outcomes(passed=1)


def test_it_works_together_with_respx(pytester: pytest.Pytester) -> None:
    """Requests to other hosts go to respx, and those to the gateway do not."""
    pytester.makepyfile(
        """
        import anyio
        import httpx

        def test_the_picture_is_fetched(mj_gateway, respx_mock):
            picture = respx_mock.get("https://cdn.example/pig.png").respond(content=b"PNG")
            mj_gateway.add_task("1", image_url="https://cdn.example/pig.png")

            async def main():
                async with mj_gateway.client() as client, httpx.AsyncClient() as http_client:
                    task = await client.wait_for_task("1")
                    return (await http_client.get(task.image_url)).content

            assert b"PNG" == anyio.run(main)
            assert 1 == picture.call_count
        """
    )

    pytester.runpytest_subprocess("-W", "error", *STRICT).assert_outcomes(passed=1)


def test_the_fixture_is_described(pytester: pytest.Pytester) -> None:
    """`pytest --fixtures` shows it."""
    ended = pytester.runpytest_subprocess("--fixtures", *STRICT)

    ended.stdout.fnmatch_lines(["mj_gateway -- *", "    A gateway for tests (*"])


def test_nothing_is_imported_before_it_is_used(pytester: pytest.Pytester) -> None:
    """A run without the fixture does not import mj_async; a test with it imports no server."""
    pytester.makepyfile(
        test_1="""
        import sys

        def test_no_import():
            assert "pytest_mj_async" in sys.modules
            assert "mj_async" not in sys.modules
        """,
        test_2="""
        import sys

        def test_no_server(mj_gateway):
            assert "mj_async.testing" in sys.modules
            assert not {"starlette", "uvicorn"} & set(sys.modules)
        """,
    )

    pytester.runpytest_subprocess("-W", "error", *STRICT).assert_outcomes(passed=2)


def test_its_import_is_cheap() -> None:
    """It imports no module that pytest does not import already."""
    count = "import sys, pytest; before = set(sys.modules); import pytest_mj_async; print(*{})"
    ended = subprocess.run(
        [sys.executable, "-c", count.format("{*sys.modules} - before")],
        check=True,
        capture_output=True,
        text=True,
    )

    assert "pytest_mj_async" == ended.stdout.strip()
