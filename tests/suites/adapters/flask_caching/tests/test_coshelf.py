import pytest
from test_backend_cache import GenericCacheTests

from coshelf.contrib.cachelib import CoshelfCache


class TestCoshelfCache(GenericCacheTests):
    @pytest.fixture
    def make_cache(self, tmp_path):
        return lambda **options: CoshelfCache(tmp_path / "a.shelf", **options)
