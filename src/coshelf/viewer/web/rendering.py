"""Pages made of templates. Whatever a template is given becomes text: nothing of a key or value becomes markup."""

from __future__ import annotations

import os
from typing import Any

import jinja2
from starlette.responses import HTMLResponse, Response

from coshelf.engines.urls import without_secrets
from coshelf.screen import plain
from coshelf.viewer.sizes import in_words
from coshelf.viewer.viewing import Viewing
from coshelf.viewer.web.access import Access

__all__ = ["Rendering"]


class Rendering:
    """Makes the pages of one viewer.

    Args:
        viewing: the shelf.
        access: the secrets, of which each form has one.
    """

    def __init__(self, viewing: Viewing, access: Access) -> None:
        self._viewing = viewing
        self._access = access
        self._templates = jinja2.Environment(
            loader=jinja2.PackageLoader("coshelf.viewer"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters["in_words"] = in_words
        for name in self._templates.list_templates():
            self._templates.get_template(name)  # compiled before the first request, which would wait for it
        self._name = plain(without_secrets(viewing.shelf.name))

    def page(self, template: str, status: int = 200, **words: Any) -> Response:
        """A page made of a template."""
        common = {
            "shelf_name": self._name,
            "short_name": os.path.basename(self._name.rstrip("/")) or self._name,
            "write": self._viewing.write,
            "live": None,
            "rescued": self._viewing.rescued,
            "form_token": self._access.form_token,
            "search": {"way": "prefix", "text": "", "start": "", "stop": ""},
        }
        return HTMLResponse(self._templates.get_template(template).render(common | words), status)

    def problem(self, status: int, title: str, words: str) -> Response:
        """A page that says what went wrong, and what to do."""
        lines = [plain(line.strip()) for line in words.splitlines() if line.strip()]
        return self.page("problem.html", status, title=title, lines=lines)
