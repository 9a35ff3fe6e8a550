"""slowapi with a shelf, by its URI."""

from __future__ import annotations

from pathlib import Path

import pytest
from slowapi import Limiter, _rate_limit_exceeded_handler
from slowapi.errors import RateLimitExceeded
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

import coshelf.contrib.limits  # noqa: F401 (tells limits the scheme)


@pytest.mark.parametrize("strategy", ["fixed-window", "moving-window", "sliding-window-counter"])
def test_two_applications_share_the_limit_of_a_page(tmp_path: Path, strategy: str) -> None:
    def application() -> TestClient:
        limiter = Limiter(key_func=lambda: "ann", strategy=strategy, storage_uri=f"coshelf://{tmp_path}/limits.shelf")

        @limiter.limit("3 per 10 year")
        async def page(request: Request) -> PlainTextResponse:
            return PlainTextResponse("hello")

        app = Starlette(routes=[Route("/", page)], exception_handlers={RateLimitExceeded: _rate_limit_exceeded_handler})
        app.state.limiter = limiter
        return TestClient(app)

    one, other = application(), application()
    answers = [client.get("/").status_code for client in (one, other, one, other, one)]
    assert answers == [200, 200, 200, 429, 429]
    for client in (one, other):
        client.app.state.limiter._storage.close()
