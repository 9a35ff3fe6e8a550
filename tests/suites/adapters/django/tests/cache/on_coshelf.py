"""Django's tests of cache backends, with ours."""

import tempfile

from cache.tests import BaseCacheTests, caches_setting_for_tests
from django.core.cache import caches
from django.test import TestCase, override_settings

BACKEND = "coshelf.contrib.django.cache.CoshelfCache"


class CoshelfCacheTests(BaseCacheTests, TestCase):
    """Each test has a shelf of its own."""

    def setUp(self):
        directory = self.enterContext(tempfile.TemporaryDirectory())
        setting = caches_setting_for_tests(BACKEND=BACKEND, LOCATION=f"{directory}/cache.shelf")
        self.enterContext(override_settings(CACHES=setting))
        super().setUp()
        assert type(caches["default"]).__name__ == "CoshelfCache"
