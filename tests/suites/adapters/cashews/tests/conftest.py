"""In the place of the conftest of cashews, which its source distribution lacks."""

import asyncio
from datetime import UTC, datetime
from unittest.mock import Mock

import pytest
from cashews import Cache
from cashews.decorators.cache import early, soft

from coshelf.contrib.cashews import CoshelfBackend
from coshelf.system import clock

SLOWER = 20
SLOW = {
    f"test_{name}"
    for name in ("backend_commands", "cache", "cache_exception", "circuit_breaker", "lock_decorator", "transaction")
}


def pytest_configure(config):
    config.addinivalue_line("markers", "redis: a marker of cashews")


class SlowDatetime:
    start = datetime.now(UTC)

    @classmethod
    def now(cls, zone):
        return cls.start + (datetime.now(zone) - cls.start) / SLOWER


@pytest.fixture(autouse=True)
def slow_clocks(request, monkeypatch):
    """Have time pass slowly where tests have 10 ms, or 100 ms for ten calls. A busy machine needs longer for them."""
    if request.module.__name__.rpartition(".")[2] not in SLOW:
        return
    sleep, now = asyncio.sleep, clock.now
    start = now()
    monkeypatch.setattr(asyncio, "sleep", lambda delay, result=None: sleep(SLOWER * delay, result))
    monkeypatch.setattr(clock, "now", lambda: start + (now() - start) // SLOWER)
    for module in (early, soft):
        monkeypatch.setattr(module, "datetime", SlowDatetime)


@pytest.fixture
async def shelf_backend(slow_clocks, tmp_path):
    found = CoshelfBackend(target=tmp_path / "a.shelf")
    yield found
    await found.close()


@pytest.fixture
def raw_backend(shelf_backend):
    """The tests unpack a backend and its name."""
    return shelf_backend, "coshelf"


@pytest.fixture
def target(shelf_backend):
    """The backend, which also notes its calls."""
    noting = Mock(wraps=shelf_backend)
    noting.is_full_disable = False  # Mock makes a callable of it, which is true
    return noting


@pytest.fixture
def cache(target):
    made = Cache("coshelf")
    made._add_backend(target)
    return made


@pytest.fixture
def backend_factory():
    return lambda kind, *args, **options: kind(*args, **options)
