import tempfile
from typing import ClassVar

from dogpile.cache import register_backend
from dogpile.testing.fixtures import _GenericBackendTestSuite, _GenericMutexTestSuite, _GenericSerializerTestSuite

register_backend("coshelf", "coshelf.contrib.dogpile", "CoshelfBackend")


class OnAShelf:
    backend = "coshelf"
    config_args: ClassVar = {"arguments": {"target": f"{tempfile.mkdtemp()}/a.shelf"}}


class TestBackend(OnAShelf, _GenericBackendTestSuite):
    pass


class TestMutex(OnAShelf, _GenericMutexTestSuite):
    pass


class TestSerializer(OnAShelf, _GenericSerializerTestSuite, _GenericBackendTestSuite):
    pass
