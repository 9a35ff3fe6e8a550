"""A site of Django that counts its visits in the cache, and in a session: for servers of WSGI and ASGI.

The cache is used when this is imported. With ``--preload`` that is in the parent, before the workers are forked.
"""

from __future__ import annotations

import asyncio
import os
import threading
from contextlib import suppress

import django
from django.conf import settings

SHELF = os.environ["COUNTING_SITE_SHELF"]
settings.configure(
    SECRET_KEY="tests",
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["*"],
    MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"],
    CACHES={"default": {"BACKEND": "coshelf.contrib.django.cache.CoshelfCache", "LOCATION": SHELF}},
    SESSION_ENGINE="coshelf.contrib.django.sessions",
    SESSION_SHELF=SHELF,
)
django.setup()

from django.core.asgi import get_asgi_application
from django.core.cache import cache
from django.core.wsgi import get_wsgi_application
from django.http import JsonResponse
from django.urls import path

cache.add("count", 0, timeout=None)
used = threading.Thread(target=lambda: asyncio.run(cache.aget("count")))  # a loop runs already in uvicorn's worker
used.start()
used.join()


def open_files():
    """How many descriptors of files of the shelf this process has."""
    found = 0
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):  # it was closed meanwhile
            found += os.path.basename(SHELF) in os.readlink(f"/proc/self/fd/{name}")
    return found


def answer(count, visits):
    return JsonResponse({"count": count, "visits": visits, "pid": os.getpid(), "open": open_files()})


def visit(request):
    request.session["visits"] = request.session.get("visits", 0) + 1
    return answer(cache.incr("count"), request.session["visits"])


async def visit_in_a_task(request):
    visits = await request.session.aget("visits", 0) + 1
    await request.session.aset("visits", visits)
    return answer(await cache.aincr("count"), visits)


urlpatterns = [path("", visit), path("task", visit_in_a_task)]
wsgi = get_wsgi_application()
asgi = get_asgi_application()
