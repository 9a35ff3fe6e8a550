"""Celery's tests of backends over keys and values, and of its backends for caches and files, with ours."""

from __future__ import annotations

import pytest
from celery.backends.base import KeyValueStoreBackend
from t.unit.backends import test_base, test_cache, test_filesystem

from coshelf.contrib.celery import CoshelfBackend


class _Backend(CoshelfBackend):
    """Made without a URL, each with a shelf of its own, as the tests make theirs."""

    def __init__(self, app, *args, backend="memory://", **kwargs):
        super().__init__(app, *args, **{"url": backend, **kwargs})
        self.client = self.db = self.shelf


class _OfFiles(CoshelfBackend):
    """Made with the URL of a directory. All of one directory share a shelf."""

    def __init__(self, app, url=None, **kwargs):
        super().__init__(app, url=url and url.replace("file://", "coshelf://").removesuffix("/a") + "/a", **kwargs)


@pytest.fixture(autouse=True)
def with_ours(monkeypatch):
    monkeypatch.setattr(test_base, "KVBackend", _Backend)
    monkeypatch.setattr(test_base, "CompressingKVBackend", _Backend)
    monkeypatch.setattr(test_cache, "CacheBackend", _Backend)
    monkeypatch.setattr(test_filesystem, "FilesystemBackend", _OfFiles)


class TestKeyValueStoreBackend(test_base.test_KeyValueStoreBackend):
    pass


class TestCompression(test_base.test_result_compression):
    def backend(self, compression=None, cls=_Backend):
        return super().backend(compression, _Backend)


class TestCompressionOfBytes(test_base.test_result_compression_binary_serializer):
    pass


class TestCacheBackend(test_cache.test_CacheBackend):
    pass


class TestFilesystemBackend(test_filesystem.test_FilesystemBackend):
    pass


def test_ours_is_a_backend_of_keys_and_values():
    assert issubclass(_Backend, KeyValueStoreBackend)
