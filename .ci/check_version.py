"""Whether a release's tag, its version and the changelog agree: `check_version.py v1.2.3`."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

(tag,) = sys.argv[1:]
root = Path(__file__).parents[1]
version = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
if tag != f"v{version}":
    sys.exit(f"the tag {tag} is not v{version}, the version in pyproject.toml")
if f"\n## {version} - " not in (root / "CHANGELOG.md").read_text(encoding="utf-8"):
    sys.exit(f"CHANGELOG.md has no section for {version}")
print(f"{tag} is {version}, and the changelog has it")
