"""The viewer shows and changes shelves on servers as it does files."""

from __future__ import annotations

import pytest
from visiting import entry, visiting

import coshelf


@pytest.fixture(params=["moto", "server", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    """The URL of a new shelf on an object store, Valkey and PostgreSQL."""
    found = request.getfixturevalue(request.param)
    return str(found if request.param == "server" else found.url())


def test_shelf_on_a_server_is_shown_and_changed(url: str) -> None:
    with coshelf.open(url) as shelf:
        shelf.update({"soups/leek": {"minutes": 40}, "title": "text", ("t", 1): 5})
        with visiting(shelf, write=True) as visitor:
            assert "soups/" in visitor.get("/").page.text
            assert len(visitor.get("/data/rows").json["rows"]) == 3
            assert entry("title") in visitor.get("/search?text=ti").page.links
            path = entry("soups/leek")
            assert visitor.submit(f"{path}/edit", f"{path}/edit", text='{"minutes": 45}').status == 200
            assert shelf["soups/leek"] == {"minutes": 45}
            record = shelf.record("soups/leek")
            answer = visitor.submit(path, f"{path}/delete")
            assert "soups/leek" not in shelf
            undo = next(
                found["action"] for tag, found in answer.page.elements if "/deleted/" in (found.get("action") or "")
            )
            assert visitor.post(undo or "", answer.page.fields(undo or "")).status == 200
            assert shelf["soups/leek"] == {"minutes": 45}
            assert shelf.record("soups/leek").payload() == record.payload()
