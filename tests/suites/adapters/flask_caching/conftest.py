"""The applications and caches of Flask-Caching's tests use our cache, and its clock is that of shelves, too."""

import pytest

from coshelf.system import clock as clock_of_shelves


@pytest.fixture(autouse=True)
def on_a_shelf(request, tmp_path, monkeypatch):
    if "app" in request.fixturenames:
        request.getfixturevalue("app").config.update(
            CACHE_TYPE="coshelf.contrib.cachelib.CoshelfCache", CACHE_ARGS=[str(tmp_path / "a.shelf")]
        )
    if "clock" in request.fixturenames:
        seconds = request.getfixturevalue("clock")
        monkeypatch.setattr(clock_of_shelves, "now", lambda: int(seconds() * 1_000_000))
