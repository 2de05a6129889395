"""Sphinx: how these pages are built."""

from importlib.metadata import version as version_of

project = "mj_async"
author = "The mj_async authors"
project_copyright = "2026, The mj_async authors"
release = version_of("mj_async")
version = release

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]

nitpicky = True
# Nothing of other projects is linked to, so that a build needs no network; and what begins with
# an underscore has no page.
nitpick_ignore_regex = [
    (
        "py:.*",
        r"(anyio|attrs|collections|contextlib|datetime|enum|httpx|os|ssl|types|typing)(\..*)?",
    ),
    ("py:class", r"mj_async\.(testing\.)?_\w+\.\w+|DialectName"),
]

# Docstrings write `names` in single quotes, as Markdown does.
default_role = "literal"
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
napoleon_google_docstring = True
napoleon_numpy_docstring = False

html_theme = "furo"
html_title = f"mj_async {release}"
