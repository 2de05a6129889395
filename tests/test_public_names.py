"""The public names and their signatures, as `public_names.txt` beside this file has them.

`python tests/test_public_names.py > tests/public_names.txt` writes it anew.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, Protocol

import mj_async
import mj_async.errors
import mj_async.testing

MODULES = (mj_async, mj_async.errors, mj_async.testing)
SNAPSHOT = Path(__file__).with_name("public_names.txt")


def describe_call(name: str, call: Any) -> Iterator[str]:
    """Write a callable, and each parameter on its own line, as in the source."""
    signature = inspect.signature(call)
    kind = "async def" if inspect.iscoroutinefunction(call) else "def"
    yield f"{kind} {name} -> {signature.return_annotation}"
    seen: inspect.Parameter | None = None
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and (seen is None or seen.kind < 2):
            yield "    *"
        seen = parameter
        if parameter.name not in {"self", "cls"}:
            yield f"    {describe_parameter(parameter)}"


def describe_parameter(parameter: inspect.Parameter) -> str:
    """Write a parameter, its type and its default."""
    kind = parameter.kind
    stars = "*" * (kind is parameter.VAR_POSITIONAL) + "**" * (kind is parameter.VAR_KEYWORD)
    default = "" if parameter.default is parameter.empty else f" = {parameter.default!r}"
    return f"{stars}{parameter.name}: {parameter.annotation}{default}"


def describe_class(name: str, found: type) -> Iterator[str]:
    """Write a class, its public bases, its constructor and its public members.

    The members of a private base are written as those of the class: a user sees no difference.
    """
    private = [base for base in found.__mro__ if base.__module__.startswith("mj_async._")]
    hidden = [base for base in private if not hasattr(mj_async, base.__name__)]
    public = [base for base in found.__bases__ if base is not object and base not in hidden]
    yield f"class {name}({', '.join(base.__name__ for base in public)})"
    if issubclass(found, Enum):
        yield from (f"    {member.name} = {member.value!r}" for member in found)
        return
    is_protocol = Protocol in found.__bases__  # its __init__ is typing's
    members = {key: member for base in (*hidden, found) for key, member in vars(base).items()}
    for key, member in sorted(members.items()):
        if (key == "__init__" and not is_protocol) or not key.startswith("_"):
            yield from (f"    {line}" for line in describe_member(key, member))


def describe_member(name: str, member: object) -> Iterator[str]:
    """Write a method or a property; fields are written as parameters already."""
    if isinstance(member, property) and member.fget is not None:
        yield f"property {name} -> {member.fget.__annotations__['return']}"
    elif isinstance(member, classmethod):
        yield from describe_call(f"{name} (of the class)", member.__func__)
    elif isinstance(member, FunctionType):
        yield from describe_call(name, member)


def describe_name(name: str, value: object) -> Iterator[str]:
    """Write a public name by its kind."""
    if isinstance(value, type):
        yield from describe_class(name, value)
    elif isinstance(value, ModuleType):
        yield f"module {name}"
    elif isinstance(value, FunctionType):
        yield from describe_call(name, value)
    else:
        yield f"{name} = {value!r}"


def describe(*modules: ModuleType) -> Iterator[str]:
    """Write public modules."""
    for module in modules:
        yield f"module {module.__name__}"
        for name in sorted(vars(module)["__all__"]):
            yield from (f"    {line}" for line in describe_name(name, getattr(module, name)))


def test_the_public_names_are_as_written_down() -> None:
    """A change of the public names changes `public_names.txt`, too, where reviewers see it."""
    written = SNAPSHOT.read_text(encoding="utf-8").splitlines()

    assert written == list(describe(*MODULES))


def test_all_public_names_can_be_listed() -> None:
    """`dir` also shows names that are not imported yet."""
    assert set(mj_async.__all__) <= set(dir(mj_async))


if __name__ == "__main__":
    print("\n".join(describe(*MODULES)))  # noqa: T201
