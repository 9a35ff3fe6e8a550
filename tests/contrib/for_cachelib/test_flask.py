"""A Flask application with Flask-Caching and Flask-Session on one shelf, in two processes."""

from __future__ import annotations

import os
import uuid
from functools import partial
from typing import Any

import flask
from flask_caching import Cache
from flask_session import Session

import coshelf
from coshelf.contrib.cachelib import CoshelfCache
from coshelf.testing.contract.child import Child, Talk


def application(path: str) -> flask.Flask:
    app = flask.Flask(__name__)
    app.config.update(
        CACHE_TYPE="coshelf.contrib.cachelib.CoshelfCache",
        CACHE_ARGS=[path],
        SESSION_TYPE="cachelib",
        SESSION_CACHELIB=CoshelfCache(path, part="sessions"),
    )
    cache = Cache(app)
    Session(app)
    computed: list[int] = []

    @app.get("/page")
    @cache.cached(timeout=600)
    def page() -> str:
        return f"made by {os.getpid()}, {uuid.uuid4()}"

    @cache.memoize()
    def square(number: int) -> str:
        return f"{number * number} {uuid.uuid4()}"

    @app.get("/square/<int:number>")
    def show_square(number: int) -> str:
        return square(number)

    @app.get("/forget")
    def forget() -> str:
        cache.delete_memoized(square)
        return "forgotten"

    @cache.memoize(cache_none=True)
    def nothing() -> None:
        computed.append(1)

    @app.get("/nothing")
    def show_nothing() -> str:
        nothing()
        return str(len(computed))

    @app.get("/basket/<item>")
    def basket(item: str) -> str:
        flask.session.setdefault("basket", []).append(item)
        flask.session.modified = True
        return " ".join(flask.session["basket"])

    @app.get("/leave")
    def leave() -> str:
        flask.session.clear()
        return "left"

    return app


def serve(path: str, talk: Talk) -> None:
    """Answer requests, which come as lines: a path, or a cookie after an equals sign."""
    client = application(path).test_client()
    talk.say("ready")
    while request := talk.hear():
        if request.startswith("/"):
            talk.say(client.get(request).text)
        elif request == "=":
            cookie: Any = client.get_cookie("session")
            talk.say(cookie.value)
        else:
            client.set_cookie("session", request[1:])
            talk.say("set")


def ask(child: Child, request: str) -> str:
    child.tell(request)
    return child.heard()


def test_two_processes_share_views_results_and_sessions(path: str) -> None:
    with Child(partial(serve, path)) as one, Child(partial(serve, path)) as two:
        assert (one.heard(), two.heard()) == ("ready", "ready")
        assert ask(one, "/page") == ask(two, "/page") == ask(one, "/page")
        result = ask(two, "/square/4")
        assert result == ask(one, "/square/4")
        assert ask(one, "/forget") == "forgotten"
        assert ask(two, "/square/4") != result
        assert [ask(one, "/nothing"), ask(two, "/nothing"), ask(one, "/nothing")] == ["1", "0", "1"]

        assert ask(one, "/basket/apple") == "apple"
        assert ask(two, f"={ask(one, '=')}") == "set"
        assert ask(two, "/basket/pear") == "apple pear"
        one.kill()
        assert ask(two, "/basket/plum") == "apple pear plum"
        assert ask(two, "/leave") == "left"
        assert ask(two, "/basket/fig") == "fig"
    with coshelf.open(path) as shelf:
        assert {key.split("/")[0] for key in shelf} == {"cachelib", "sessions"}
        assert len(shelf.keys("sessions/session:*")) == 1
