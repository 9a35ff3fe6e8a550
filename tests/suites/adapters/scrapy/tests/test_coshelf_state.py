"""Scrapy's tests of the state of spiders, with coshelf's extension."""

from __future__ import annotations

from tests import test_spiderstate as scrapy_tests

from coshelf.contrib.scrapy import SpiderState

scrapy_tests.SpiderState = SpiderState

from tests.test_spiderstate import *  # noqa: E402, F403
