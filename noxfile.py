"""Sessions: tests on each installed Python, examples, lint, types, docs, build."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import nox

nox.needs_version = ">=2024.4.15"
# uv installs many packages much faster than pip; `.ci/run` installs it.
nox.options.default_venv_backend = "uv|venv"
nox.options.sessions = ["tests", "examples", "lint", "types", "docs", "build"]
nox.options.error_on_external_run = True

PYPROJECT = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))
_CLASSIFIER = "Programming Language :: Python :: 3."
CLAIMED = [
    entry.rpartition(" ")[2]
    for entry in PYPROJECT["project"]["classifiers"]
    if entry.startswith(_CLASSIFIER)
]
GROUPS = PYPROJECT["dependency-groups"]
_EXTRAS = PYPROJECT["project"]["optional-dependencies"]
# The session `distributed` covers these files, because they need a Redis.
DISTRIBUTED = "*/mj_async/distributed/*,*/mj_async/cli/commands/_cluster*"
# A few seconds of tests that touch every part.
SMOKE = [
    "tests/test_house.py",
    "tests/test_public_names.py",
    "tests/test_errors.py",
    "tests/test_models.py",
    "tests/test_client.py",
    "tests/gateway/test_endpoints.py",
    "tests/http/test_pool.py",
    "tests/polling/test_poller_any.py",
]


def _name_pyenv_versions() -> None:
    """Name every installed Python for pyenv, because its shims start only named versions."""
    if shutil.which("pyenv") and "PYENV_VERSION" not in os.environ:
        names = subprocess.run(
            ["pyenv", "versions", "--bare"], check=False, capture_output=True, text=True
        ).stdout.split()
        recent = [name for name in names if name.startswith(tuple(f"{one}." for one in CLAIMED))]
        if recent:
            os.environ["PYENV_VERSION"] = ":".join(recent)


def _starts(version: str) -> bool:
    """Return True if that Python starts: pyenv's shim may exist without it."""
    program = shutil.which(f"python{version}")
    if program is None:
        return False
    answer = subprocess.run([program, "-c", ""], check=False, capture_output=True)
    return answer.returncode == 0


_name_pyenv_versions()
PYTHONS = [version for version in CLAIMED if _starts(version)]
if not PYTHONS:
    raise SystemExit(f"none of the Pythons {', '.join(CLAIMED)} starts here")
print(f"Pythons that start here: {', '.join(PYTHONS)}")


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the tests with warnings as errors; on the oldest Python, measure branch coverage."""
    session.install(".[cli,speed]", *GROUPS["tests"])
    coverage_file = {"COVERAGE_FILE": str(Path(session.create_tmp()) / "coverage")}
    session.run("coverage", "erase", env=coverage_file)
    # pytest-cov would start to measure after our plugin for pytest has imported the package.
    # One process more than cores, because some tests wait.
    processes = ("-n", str((os.cpu_count() or 1) + 1))
    parallel = () if session.posargs else processes
    if session.python != PYTHONS[0]:
        session.run("python", "-m", "pytest", *parallel, *session.posargs)
        return
    session.run("coverage", "run", "-m", "pytest", *parallel, *session.posargs, env=coverage_file)
    session.run("coverage", "combine", "--quiet", env=coverage_file)
    if not session.posargs:
        session.run("coverage", "report", f"--omit={DISTRIBUTED}", env=coverage_file)


@nox.session(python=PYTHONS[-1])
def examples(session: nox.Session) -> None:
    """Run the examples, each on its framework's own dispatcher; all frameworks have wheels here."""
    session.install(".", *GROUPS["tests"], *GROUPS["examples"])
    session.run("pytest", "tests/examples", *session.posargs)


@nox.session(python=PYTHONS[0])
def lowest(session: nox.Session) -> None:
    """Run the tests with the lowest version of each dependency that pyproject.toml allows."""
    floors = Path(session.create_tmp()) / "floors.txt"
    floors.write_text("\n".join(_floors()), encoding="utf-8")
    session.install(".[cli,speed]", *GROUPS["tests"], "--constraint", str(floors))
    processes = ("-n", str((os.cpu_count() or 1) + 1))
    tests = SMOKE if "--smoke" in session.posargs else processes
    session.run("python", "-m", "pytest", *tests)


def _floors() -> set[str]:
    """Return the lowest allowed versions; pip installs the newest of their own dependencies."""
    extras = (one for extra in ("cli", "speed") for one in _EXTRAS[extra])
    needed = (*PYPROJECT["project"]["dependencies"], *extras)
    found = (re.match(r"([\w-]+)>=([\d.]+)", one) for one in needed)
    return {f"{one[1]}=={one[2]}" for one in found if one is not None}


@nox.session
def browser(session: nox.Session) -> None:
    """Test the gallery's page in Debian's Chromium; print its times with many rows."""
    if not (Path("/usr/bin/chromium").exists() and Path("/usr/bin/chromedriver").exists()):
        session.error("this needs Debian's packages: apt-get install chromium chromium-driver")
    session.install(".[cli]", *GROUPS["tests"], *GROUPS["browser"])
    session.run("pytest", "tests/browser", *session.posargs)


# On 3.11 the tracer of coverage loses the caller of an event loop in which two attempts to connect
# race each other.
@nox.session(python=PYTHONS[-1])
def distributed(session: nox.Session) -> None:
    """Run the tests that need Redis, with Debian's redis-server, and measure branch coverage."""
    if shutil.which("redis-server") is None:
        session.error("this needs Debian's package: apt-get install redis-server")
    session.install(".[cli,speed,distributed]", *GROUPS["tests"], *GROUPS["distributed"])
    coverage_file = {"COVERAGE_FILE": str(Path(session.create_tmp()) / "coverage")}
    session.run("coverage", "erase", env=coverage_file)
    named = session.posargs or ("-n", str((os.cpu_count() or 1) + 1))
    session.run("coverage", "run", "-m", "pytest", "tests/distributed", *named, env=coverage_file)
    session.run("coverage", "combine", "--quiet", env=coverage_file)
    if not session.posargs:
        session.run("coverage", "report", f"--include={DISTRIBUTED}", env=coverage_file)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and spelling."""
    session.install("ruff>=0.12", "codespell>=2.4")
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")
    session.run("codespell")


@nox.session
def types(session: nox.Session) -> None:
    """Run mypy in strict mode, and check with pyright that all public names have types."""
    names = ("tests", "browser", "distributed", "examples", "types")
    groups = [requirement for name in names for requirement in GROUPS[name]]
    session.install(".[cli,speed,distributed]", *groups, "nox")
    session.run("mypy")
    # pyright's wheel downloads its program from the npm registry. If that cannot be reached, mypy's
    # stubtest compares the annotations with the objects at run time.
    starts = session.run("pyright", "--version", success_codes=range(256), silent=True) or ""
    if starts.startswith("pyright"):
        session.chdir(session.create_tmp())  # pyright must check the installed package, not src/
        session.run("pyright", "--verifytypes", "mj_async", "--ignoreexternal")
    else:
        session.run("stubtest", "mj_async", "--ignore-missing-stub")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the docs with warnings as errors; the session `tests` runs their examples."""
    session.install(".[cli,distributed]", *GROUPS["docs"])
    session.run("sphinx-build", "-W", "--keep-going", "-b", "html", "docs", "docs/_build/html")


@nox.session
def bench(session: nox.Session) -> None:
    """Compare the costs with those of other clients in the same run."""
    session.install(".[speed]", *GROUPS["benchmarks"])
    session.run("python", "benchmarks", *session.posargs)
    session.run("python", "benchmarks/call_path.py")


@nox.session
def memory(session: nox.Session) -> None:
    """Look up 200,000 seeds and a million seeds, and compare the memory of both runs."""
    session.install(".[speed]")
    session.run("python", "benchmarks/seeds_memory.py")


@nox.session
def soak(session: nox.Session) -> None:
    """Wait for 500 tasks for two minutes on a gateway that misbehaves; repeat with one poller."""
    session.install(".")
    session.run("python", "-W", "error", "benchmarks/soak.py", *session.posargs)
    session.run("python", "-W", "error", "benchmarks/soak.py", "--together", *session.posargs)


@nox.session
def build(session: nox.Session) -> None:
    """Build sdist and wheel, and use the wheel with its dependencies only."""
    session.install("build>=1.2", "twine>=6.1")
    output = session.create_tmp()
    shutil.rmtree(output)
    session.run("python", "-m", "build", "--outdir", output)
    built = [str(path) for path in Path(output).iterdir()]
    session.run("twine", "check", "--strict", *built)
    _use_alone(session, next(path for path in built if path.endswith(".whl")))


def _use_alone(session: nox.Session, wheel: str) -> None:
    """Use a wheel in a new environment, without `src` on the path."""
    environment = Path(session.create_tmp()) / "alone"
    session.run("python", "-m", "venv", "--clear", str(environment))
    python = str(environment / "bin" / "python")
    session.run(python, "-m", "pip", "install", "--quiet", wheel, external=True)
    session.run(python, "-W", "error", ".ci/check_wheel.py", external=True)
    session.run(python, "benchmarks/import_time.py", "--most", "1.1", external=True)
    uv = ("uv", "pip", "install", "--quiet", "--python", python)
    install = uv if shutil.which("uv") else (python, "-m", "pip", "install", "--quiet")
    session.run(*install, f"{wheel}[cli]", *GROUPS["tests"], external=True)
    session.run(python, "-m", "pytest", "-q", *SMOKE, external=True)
