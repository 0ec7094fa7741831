"""Sphinx configuration of the documentation site; `make docs` builds it, without network.

The project's folder is the source: README, config/README.md and the others are pages where they stand, and the links
between them work here as they do in a repository browser.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

from pygments.lexers.special import TextLexer  # noqa: E402
from sphinx.highlighting import lexers  # noqa: E402

from w2sg import __version__  # noqa: E402

lexers["tsv"] = TextLexer()

project = "w2sg"
author = "the w2sg authors"
copyright = f"{author}; MIT licence"
release = __version__
root_doc = "docs/index"
include_patterns = ["docs/**.md", "*.md", "config/README.md", "results/README.md", "resources/README.md"]
exclude_patterns = [
    *(".*", "build", "benchmarks", "logs", "scratch", "tests", "workflow", "w2sg", "requirements", "envs", "profiles"),
    *("results/*/**", "resources/*/**", "paper.md"),
]

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "mathml",
    "docstrings",
    "generated",
    "offline",
]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
html_math_renderer = "mathml"
autodoc_default_options = {"members": True, "member-order": "bysource", "no-value": True, "ignore-module-all": True}
autodoc_typehints_format = "short"
napoleon_numpy_docstring = False
napoleon_use_rtype = False
default_role = "code"

html_theme = "furo"
html_title = f"w2sg {release}"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_extra_path = ["start"]
html_copy_source = False
html_show_sphinx = False
