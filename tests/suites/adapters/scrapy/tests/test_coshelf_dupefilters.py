"""Scrapy's tests of its filter of duplicates, with coshelf's in its place."""

from __future__ import annotations

from scrapy.settings import default_settings
from tests import test_dupefilters as scrapy_tests

from coshelf.contrib.scrapy import DupeFilter

scrapy_tests.RFPDupeFilter = DupeFilter
scrapy_tests.FromCrawlerRFPDupeFilter = type(
    "FromCrawlerRFPDupeFilter",
    (DupeFilter,),
    {"from_crawler": classmethod(lambda cls, crawler: _marked(super(cls, cls).from_crawler(crawler)))},
)
default_settings.DUPEFILTER_CLASS = "coshelf.contrib.scrapy.DupeFilter"


def _marked(found):
    found.method = "from_crawler"
    return found


from tests.test_dupefilters import *  # noqa: E402, F403
