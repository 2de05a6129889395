"""What holds for the wheel alone, installed with nothing but what it asks for."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import metadata, requires
from pathlib import Path

import mj_async

DEPENDENCIES = {"anyio", "attrs", "cattrs", "httpx"}

direct = [one for one in requires("mj_async") or [] if "extra ==" not in one]
names = {re.split(r"[^\w-]", one)[0] for one in direct}
assert names == DEPENDENCIES, direct
assert "site-packages" in mj_async.__file__, mj_async.__file__
assert Path(mj_async.__file__).with_name("py.typed").exists()
assert metadata("mj_async")["License-Expression"] == "MIT"

for name in mj_async.__all__:
    getattr(mj_async, name)
unasked = {"cyclopts", "rich", "jinja2", "starlette", "uvicorn", "orjson"} & set(sys.modules)
assert not unasked, unasked

command = Path(sys.executable).with_name("mj-async")
said = subprocess.run([command, "demo"], check=False, capture_output=True, text=True)
assert said.returncode == 2, said
assert "pip install 'mj_async[cli]'" in said.stderr, said
assert "Traceback" not in said.stderr, said
print(f"mj_async {mj_async.__version__}: {', '.join(direct)}")
