"""Crawls the site whose address is argv[1], with the job directory argv[2] and the settings argv[3] (JSON).

A line is printed for each item: its page, and what the state of the spider counts.
"""

from __future__ import annotations

import json
import sys

import scrapy
from scrapy.crawler import CrawlerProcess

ADDRESS, JOB, SETTINGS = sys.argv[1:]


class Pages(scrapy.Spider):
    name = "pages"

    async def start(self):
        yield scrapy.Request(f"{ADDRESS}/0")

    def parse(self, response):
        self.state["parsed"] = self.state.get("parsed", 0) + 1
        for link in response.css("a::attr(href)").getall():
            yield response.follow(link, priority=int(link.strip("/")) % 3)
        yield {"page": int(response.url.rpartition("/")[2]), "parsed": self.state["parsed"]}


class Print:
    def process_item(self, item):
        print(json.dumps(item), flush=True)
        return item


process = CrawlerProcess(
    {
        "ADDONS": {"coshelf.contrib.scrapy.Addon": 300},
        "JOBDIR": JOB,
        "ITEM_PIPELINES": {Print: 100},
        "LOG_LEVEL": "WARNING",
        "TELNETCONSOLE_ENABLED": False,
        "CONCURRENT_REQUESTS_PER_DOMAIN": 8,
        "DOWNLOAD_DELAY": 0,
        **json.loads(SETTINGS),
    }
)
process.crawl(Pages)
process.start()
