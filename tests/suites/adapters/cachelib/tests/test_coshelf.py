import common
import pytest
from cachelib.serializers import SimpleSerializer
from clear import ClearTests
from common import CommonTests
from delete_many_with_prefix import DeleteManyWithPrefixTests
from has import HasTests
from serializer import SerializerTests

from coshelf.contrib.cachelib import CoshelfCache
from coshelf.testing.moving_clock import MovingClock


class WithSerializer(CoshelfCache):
    """Stores the bytes of a serializer of cachelib."""

    serializer = SimpleSerializer()


@pytest.fixture(autouse=True, params=[CoshelfCache, WithSerializer])
def cache_factory(request, tmp_path, key_prefix):
    def factory(self, *args, key_prefix=key_prefix, **kwargs):
        return request.param(tmp_path / "a.shelf", *args, part=key_prefix or "cachelib", **kwargs)

    request.cls.cache_factory = factory


@pytest.fixture(autouse=True)
def moving_clock(monkeypatch):
    """The tests move the clock of shelves where they would wait for entries to expire."""
    with MovingClock() as clock:
        monkeypatch.setattr(common, "sleep", clock.pass_by)
        yield


class TestCoshelfCache(CommonTests, HasTests, ClearTests, SerializerTests, DeleteManyWithPrefixTests):
    pass
