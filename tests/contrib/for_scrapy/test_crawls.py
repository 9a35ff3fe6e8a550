"""Real crawls of a site on the loopback interface, which are killed and go on."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from pages_site import Site, serving
from support import Crew, Worker
from valkey_servers import single

import coshelf

CRAWL = Path(__file__).parent / "scripts" / "crawl.py"
_PATIENCE = 300.0  # seconds: many processes may be running


def start(crew: Crew, site: Site, job: Path, **settings: object) -> Worker:
    return crew.start(CRAWL, site.address, job, json.dumps(settings), options=())


def scraped(lines: list[str]) -> list[int]:
    return [json.loads(line)["page"] for line in lines]


def start_and_kill(crew: Crew, site: Site, job: Path, answers: int, **settings: object) -> list[int]:
    """Kill a crawl while requests are in progress, after a number of answers. Return the pages that it scraped."""
    site.stop_after(answers)
    worker = start(crew, site, job, **settings)
    pages = scraped([worker.hear() for _ in range(answers)])
    assert site.is_stuck.wait(_PATIENCE), worker.errors()
    worker.kill()
    site.go_on()
    return pages


def in_progress(job: Path) -> set[int]:
    """The pages of the requests that are in progress, as the shelf of a killed crawl says."""
    with coshelf.open(job / "crawl.shelf", "r") as shelf:
        started = shelf.sub("scrapy").sub("started").values()
        return {int(request["url"].rpartition("/")[2]) for _, _, request in started}


def test_a_killed_crawl_goes_on_and_scrapes_every_page(crew: Crew, tmp_path: Path) -> None:
    with serving(60) as site:
        before = start_and_kill(crew, site, tmp_path, 25)
        unfinished = in_progress(tmp_path)
        assert set(site.asked) - unfinished  # some are finished
        asked_before = set(site.asked)
        after = scraped(start(crew, site, tmp_path).finish())
        assert sorted({*before, *after}) == list(range(60))
        # What was in progress is done again, and nothing else.
        assert {page for page, times in site.asked.items() if times > 1} == unfinished & asked_before
        assert set(before) & set(after) <= unfinished
    with coshelf.open(tmp_path / "crawl.shelf", "r") as shelf:
        crawl = shelf.sub("scrapy")
        assert len(crawl.sub("seen")) == 60
        assert len(crawl.sub("queue")) == len(crawl.sub("started")) == 0
        assert 60 <= crawl["state"]["parsed"] <= len(before) + len(after)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(3))
def test_a_crawl_that_is_killed_again_and_again_scrapes_every_page(crew: Crew, tmp_path: Path, seed: int) -> None:
    chance, pages = random.Random(seed), 300
    found: set[int] = set()
    again = 0
    with serving(pages) as site:
        for _ in range(6):
            found.update(start_and_kill(crew, site, tmp_path, chance.randrange(40)))
            again += len(in_progress(tmp_path))
        found.update(scraped(start(crew, site, tmp_path).finish()))
        assert sorted(found) == list(range(pages))
        assert site.asked.total() <= pages + again


@pytest.mark.long
def test_a_crawl_that_is_interrupted_does_nothing_twice(crew: Crew, tmp_path: Path) -> None:
    with serving(100) as site:
        site.stop_after(30)
        worker = start(crew, site, tmp_path)
        assert site.is_stuck.wait(_PATIENCE), worker.errors()
        worker.interrupt()
        site.go_on()
        before = scraped(worker.rest().splitlines())
        after = scraped(start(crew, site, tmp_path).finish())
        assert sorted(before + after) == list(range(100))
        assert before
        assert after
        assert set(site.asked.values()) == {1}


@pytest.mark.long
def test_a_killed_crawl_goes_on_in_sqlite(crew: Crew, tmp_path: Path) -> None:
    settings = {"COSHELF_TARGET": f"sqlite:{tmp_path / 'crawl.sqlite'}"}
    with serving(40) as site:
        before = start_and_kill(crew, site, tmp_path / "job", 15, **settings)
        after = scraped(start(crew, site, tmp_path / "job", **settings).finish())
        assert sorted({*before, *after}) == list(range(40))


@pytest.mark.long
def test_a_second_crawl_is_refused_while_the_first_one_runs(crew: Crew, tmp_path: Path) -> None:
    with serving(40) as site:
        site.stop_after(5)
        first = start(crew, site, tmp_path)
        assert site.is_stuck.wait(_PATIENCE), first.errors()
        second = start(crew, site, tmp_path)
        assert second.rest() == ""
        assert "TurnTimeout" in second.errors()
        assert f"pid {first.pid}" in second.errors()
        site.go_on()
        assert sorted(scraped(first.finish())) == list(range(40))
        assert set(site.asked.values()) == {1}


@pytest.mark.long
def test_a_second_run_takes_all_pages_from_the_http_cache(crew: Crew, tmp_path: Path) -> None:
    cache = {"HTTPCACHE_ENABLED": True, "COSHELF_HTTPCACHE_TARGET": str(tmp_path / "pages.shelf")}
    with serving(30) as site:
        for job in ("first", "second"):
            assert sorted(scraped(start(crew, site, tmp_path / job, **cache).finish())) == list(range(30))
        assert set(site.asked.values()) == {1}


@pytest.mark.long
def test_a_killed_crawl_goes_on_from_a_redis_server(crew: Crew, tmp_path: Path) -> None:
    server = single(tmp_path / "server")
    settings = {"COSHELF_TARGET": f"{server.url}/0/crawl", "LOG_LEVEL": "ERROR"}
    try:
        with serving(40) as site:
            before = start_and_kill(crew, site, tmp_path / "job", 15, **settings)
            after = scraped(start(crew, site, tmp_path / "job", **settings).finish())
            assert sorted({*before, *after}) == list(range(40))
    finally:
        server.kill()
