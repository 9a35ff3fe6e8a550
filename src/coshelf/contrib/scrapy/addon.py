"""The add-on: Scrapy's way to put the classes of this package in the place of its own."""

from __future__ import annotations

from scrapy.extensions.spiderstate import SpiderState as ScrapySpiderState
from scrapy.settings import BaseSettings

from coshelf.contrib.scrapy.state import SpiderState

__all__ = ["Addon"]

_HERE = "coshelf.contrib.scrapy"
_CLASSES = {
    "SCHEDULER": "Scheduler",
    "SCHEDULER_PRIORITY_QUEUE": "PriorityQueue",
    "SCHEDULER_DISK_QUEUE": "LifoDiskQueue",
    "SCHEDULER_START_DISK_QUEUE": "FifoDiskQueue",
    "DUPEFILTER_CLASS": "DupeFilter",
    "HTTPCACHE_STORAGE": "CacheStorage",
}


class Addon:
    """Puts the classes of this package in the place of Scrapy's. Settings of the project and the spider come first.

    ``ADDONS = {"coshelf.contrib.scrapy.Addon": 300}`` enables it. The classes work one by one, too, by the settings
    that this sets.
    """

    def update_settings(self, settings: BaseSettings) -> None:
        """Set the classes, each with the priority of add-ons, so that a project can choose another class."""
        for setting, name in _CLASSES.items():
            settings.set(setting, f"{_HERE}.{name}", "addon")
        settings.set_in_component_priority_dict("EXTENSIONS", ScrapySpiderState, None)
        settings.set_in_component_priority_dict("EXTENSIONS", SpiderState, 0)
