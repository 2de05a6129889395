"""The Sphinx configuration of these pages."""

from importlib.metadata import version as version_of

project = "mj_async"
author = "The mj_async authors"
project_copyright = "2026, The mj_async authors"
release = version_of("mj_async")
version = release

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]

nitpicky = True
# The pages do not link to other projects, so a build needs no network. Private names have no page.
nitpick_ignore_regex = [
    (
        "py:.*",
        r"(anyio|attrs|collections|contextlib|datetime|enum|httpx|os|ssl|types|typing)(\..*)?",
    ),
    ("py:class", r"mj_async\.(testing\.)?_\w+\.\w+|DialectName"),
]

# Docstrings mark `names` with single backquotes, as Markdown does.
default_role = "literal"
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
napoleon_google_docstring = True
napoleon_numpy_docstring = False

html_theme = "furo"
html_title = f"mj_async {release}"
