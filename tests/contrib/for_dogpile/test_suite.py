"""The tests that dogpile.cache ships for backends of others, with ours."""

from __future__ import annotations

import tempfile
from typing import Any, ClassVar

from dogpile.cache import register_backend
from dogpile.testing.fixtures import _GenericBackendTestSuite, _GenericMutexTestSuite, _GenericSerializerTestSuite

register_backend("coshelf", "coshelf.contrib.dogpile", "CoshelfBackend")


class OnAShelf:
    """Mixed into a suite: all its backends use one shelf."""

    backend = "coshelf"
    config_args: ClassVar[dict[str, Any]] = {}
    directory: tempfile.TemporaryDirectory[str]

    @classmethod
    def setup_class(cls) -> None:
        cls.directory = tempfile.TemporaryDirectory()
        cls.config_args = {"arguments": {"target": cls.target()}}
        super().setup_class()

    @classmethod
    def teardown_class(cls) -> None:
        cls.directory.cleanup()

    def teardown_method(self, method: Any) -> None:
        super().teardown_method(method)
        for found in (self._region_inst and self._region_inst.actual_backend, self._backend_inst):
            if found:
                found.close()

    @classmethod
    def target(cls) -> str:
        return f"{cls.directory.name}/a.shelf"


class OnSqlite(OnAShelf):
    @classmethod
    def target(cls) -> str:
        return f"sqlite:{cls.directory.name}/a.db"


class TestBackend(OnAShelf, _GenericBackendTestSuite):
    pass


class TestMutex(OnAShelf, _GenericMutexTestSuite):
    pass


class TestSerializer(OnAShelf, _GenericSerializerTestSuite, _GenericBackendTestSuite):
    pass


class TestBackendOnSqlite(OnSqlite, _GenericBackendTestSuite):
    pass


class TestMutexOnSqlite(OnSqlite, _GenericMutexTestSuite):
    pass
