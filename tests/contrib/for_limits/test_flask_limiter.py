"""Flask-Limiter with a shelf, by its URI."""

from __future__ import annotations

from pathlib import Path

import flask
import pytest
from flask_limiter import Limiter

import coshelf
import coshelf.contrib.limits


@pytest.mark.parametrize("strategy", ["fixed-window", "moving-window", "sliding-window-counter"])
def test_two_applications_share_the_limit_of_a_page(tmp_path: Path, strategy: str) -> None:
    def application() -> tuple[flask.Flask, Limiter]:
        app = flask.Flask("site")
        limiter = Limiter(
            lambda: "ann", app=app, storage_uri=f"coshelf://{tmp_path}/limits.shelf", strategy=strategy,
            storage_options={"durability": "commit"},
        )  # fmt: skip

        @app.get("/")
        @limiter.limit("3 per 10 year")
        def page() -> str:
            return "hello"

        return app, limiter

    (one, of_one), (other, of_other) = application(), application()
    answers = [app.test_client().get("/").status_code for app in (one, other, one, other, one)]
    assert answers == [200, 200, 200, 429, 429]
    of_one.reset()
    assert other.test_client().get("/").status_code == 200
    of_one.storage.close()
    of_other.storage.close()
    with coshelf.open(tmp_path / "limits.shelf", "r") as shelf:
        assert all(key.startswith("limits/") for key in shelf)
