"""What times mean to Django: seconds, and 0 is gone at once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.conf import settings
from edge import Edge

from coshelf.contrib.django import shelves
from coshelf.contrib.django.cache import CoshelfCache
from coshelf.errors import InvalidExpiry

KEY = "django/cache/:1:key"


def cached(call: Callable[[CoshelfCache], Any], **params: Any) -> Callable[[str], str]:
    def run(path: str) -> str:
        cache = CoshelfCache(path, params)
        cache.set("key", 0, timeout=500)
        call(cache)
        shelves.close_all()
        return KEY

    return run


def session(expiry: Any) -> Callable[[str], str]:
    def run(path: str) -> str:
        from django.test import override_settings

        from coshelf.contrib.django.sessions import SessionStore

        if not settings.configured:
            settings.configure(SECRET_KEY="tests", USE_TZ=True)
        with override_settings(SESSION_SHELF=path, SESSION_COOKIE_AGE=1000):
            store = SessionStore()
            store["name"] = "ann"
            store.set_expiry(expiry)
            store.save()
            shelves.close_all()
            return f"django/sessions/{store.session_key}"

    return run


def rows() -> list[Edge]:
    new = cached(lambda cache: (cache.delete("key"), cache.add("key", 1, timeout=0)))
    return [
        Edge("cache.set(key, value, timeout=60)", cached(lambda cache: cache.set("key", 1, timeout=60)), "expires", 60),
        Edge("timeout=90.5", cached(lambda cache: cache.set("key", 1, timeout=90.5)), "expires", 90.5),
        Edge(
            "timeout=timedelta(minutes=2)",
            cached(lambda cache: cache.set("key", 1, timedelta(minutes=2))),
            "expires",
            120,
        ),
        Edge("timeout=0", cached(lambda cache: cache.set("key", 1, timeout=0)), "gone"),
        Edge("timeout=-1", cached(lambda cache: cache.set("key", 1, timeout=-1)), "gone"),
        Edge("timeout=None", cached(lambda cache: cache.set("key", 1, timeout=None)), "kept"),
        Edge("cache.set(key, value)", cached(lambda cache: cache.set("key", 1)), "expires", 300),
        Edge("TIMEOUT=600", cached(lambda cache: cache.set("key", 1), TIMEOUT=600), "expires", 600),
        Edge("TIMEOUT=None", cached(lambda cache: cache.set("key", 1), TIMEOUT=None), "kept"),
        Edge("TIMEOUT=0", cached(lambda cache: cache.set("key", 1), TIMEOUT=0), "gone"),
        Edge("cache.add(key, value, timeout=0)", new, "gone"),
        Edge("cache.touch(key, 900)", cached(lambda cache: cache.touch("key", 900)), "expires", 900),
        Edge("cache.touch(key)", cached(lambda cache: cache.touch("key")), "expires", 300),
        Edge("cache.touch(key, None)", cached(lambda cache: cache.touch("key", None)), "kept"),
        Edge("cache.touch(key, 0)", cached(lambda cache: cache.touch("key", 0)), "gone"),
        Edge("cache.incr(key)", cached(lambda cache: cache.incr("key")), "expires", 500),
        Edge("cache.set_many(..., 700)", cached(lambda cache: cache.set_many({"key": 1}, 700)), "expires", 700),
        Edge("timeout='60'", cached(lambda cache: cache.set("key", 1, "60")), "refused", error=InvalidExpiry),
        Edge("timeout=nan", cached(lambda cache: cache.set("key", 1, float("nan"))), "refused", error=InvalidExpiry),
        Edge("session.set_expiry(200)", session(200), "expires", 200),
        Edge("session.set_expiry(timedelta(seconds=200))", session(timedelta(seconds=200)), "expires", 199),
        Edge("session.set_expiry(0)", session(0), "expires", 1000),
        Edge("session.set_expiry(None)", session(None), "expires", 1000),
        Edge("session.set_expiry(-1)", session(-1), "gone"),
    ]
