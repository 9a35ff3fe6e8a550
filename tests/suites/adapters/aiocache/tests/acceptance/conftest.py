from contextlib import ExitStack
from unittest import mock

import pytest
from aiocache import Cache

import coshelf.contrib.aiocache


def pytest_configure(config):
    for name in ("redis", "memcached"):
        config.addinivalue_line("markers", f"{name}: a marker of aiocache")


@pytest.fixture
async def cache(tmp_path):
    # A busy machine needs more than the 5 s that a call has by default.
    made = Cache(coshelf.contrib.aiocache.CoshelfCache, target=tmp_path / "a.shelf", namespace="test", timeout=60)
    async with made as cache:
        yield cache


@pytest.fixture
def memory_cache(cache):
    return cache


class Patch:
    """In the place of ``mocker.patch`` of pytest-mock, which is not installed."""

    def __init__(self, patches):
        self._patches = patches

    def __call__(self, *args, **kwargs):
        return self._patches.enter_context(mock.patch(*args, **kwargs))

    def object(self, *args, **kwargs):
        return self._patches.enter_context(mock.patch.object(*args, **kwargs))


class Mocker:
    def __init__(self, patches):
        self.patch = Patch(patches)

    def spy(self, target, name):
        return self.patch.object(target, name, autospec=True, side_effect=getattr(target, name))


@pytest.fixture
def mocker():
    with ExitStack() as patches:
        yield Mocker(patches)
