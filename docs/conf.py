"""How Sphinx builds the pages of this folder: `make docs`."""

from __future__ import annotations

import sys
from pathlib import Path

from sphinx.ext.autodoc.mock import MockFinder

import coshelf

sys.path.insert(0, str(Path(__file__).parent / "extensions"))

project = "coshelf"
author = "the coshelf authors"
project_copyright = f"2026, {author}"
version = release = coshelf.__version__
language = "en"
smartquotes = False  # much that is quoted is code

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "code_blocks",
    "command_pages",
    "docstrings",
    "error_table",
    "names_elsewhere",
]
exclude_patterns = ["_build"]

myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence", "deflist"]

autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_docstring_signature = False
# The reference shows how our classes are called. Importing all frameworks for their base classes takes a minute. Sphinx
# imports modules for their source, too, so that the stand-ins stay for the whole build.
autodoc_mock_imports = [
    "agents", "apscheduler", "beartype", "cachelib", "cashews", "celery", "django", "dogpile", "hishel", "huey",
    "joblib", "key_value", "kombu", "langchain_core", "langgraph", "limits", "litellm", "litestar", "llama_index",
    "requests_cache", "scrapy", "torch", "zict",
]  # fmt: skip
sys.meta_path.insert(0, MockFinder(autodoc_mock_imports))

# Types that are imported for type checkers only. The text about the argument or attribute describes them.
SHORT = (
    "Codec Durability Eviction Flag Options Path Pending Position Progress Target TransferProgress timedelta".split()
)
nitpick_ignore = [
    *(("py:class", name) for name in SHORT),
    # Names of frameworks.
    *(("py:class", name) for name in "BaseSerializer IndexConfig Serializer SerializerProtocol".split()),
    *(("py:class", name) for name in ("SessionSettings", "TTLConfig")),
    ("py:exc", "ImproperlyConfigured"),
]
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
add_module_names = False
toc_object_entries_show_parents = "hide"

# Sources are part of the repository. Pages without them are half as large, and nobody sees reStructuredText by mistake.
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_title = "coshelf"
