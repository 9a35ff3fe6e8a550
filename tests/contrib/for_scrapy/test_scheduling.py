"""What the scheduler, the queues, the filter and the state promise."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from crawlers import crawler, done, killed, opened, urls
from scrapy.exceptions import NotConfigured
from scrapy.http import Request
from scrapy.utils.misc import build_from_crawler

import coshelf
from coshelf.contrib.scrapy import DupeFilter, FifoDiskQueue, LifoDiskQueue, SpiderState


def page(number: int, host: str = "a", **options: Any) -> Request:
    return Request(f"http://{host}.example/{number}", **options)


def start_page(number: int) -> Request:
    return page(number, meta={"is_start_request": True})


def test_requests_that_wait_are_there_after_a_kill_by_slots_priorities_and_order(tmp_path: Path) -> None:
    def crawl() -> None:
        scheduler = opened(tmp_path)
        for number in range(3):
            scheduler.enqueue_request(page(number))
            scheduler.enqueue_request(page(10 + number, priority=5))
            scheduler.enqueue_request(start_page(20 + number))
            scheduler.enqueue_request(page(30 + number, host="b", priority=-1))

    killed(crawl)
    scheduler = opened(tmp_path)
    assert len(scheduler) == 12
    found = urls(scheduler)
    # Slots by turns; in each the greater priority first, then the newest request, and start requests last, by age.
    assert [url for url in found if not url.startswith("3")] == ["12", "11", "10", "2", "1", "0", "20", "21", "22"]
    assert [url for url in found if url.startswith("3")] == ["32", "31", "30"]
    scheduler.close("finished")


def test_a_request_is_queued_and_noted_as_seen_in_one_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scheduler = opened(tmp_path)
    scheduler.enqueue_request(page(0))

    def fail(self: object, request: Request) -> None:
        raise OSError("no space")

    with monkeypatch.context() as patched, pytest.raises(OSError, match="no space"):
        patched.setattr(LifoDiskQueue, "push", fail)
        scheduler.enqueue_request(page(1))
    assert scheduler.enqueue_request(page(1))
    assert not scheduler.enqueue_request(page(1))
    assert urls(scheduler) == ["1", "0"]
    scheduler.close("finished")


def test_a_request_in_progress_at_a_kill_is_given_out_again_at_its_place(tmp_path: Path) -> None:
    def crawl() -> None:
        scheduler = opened(tmp_path)
        for number in range(4):
            scheduler.enqueue_request(page(number))
        taken = [scheduler.next_request() for _ in range(2)]
        scheduler.enqueue_request(page(4))
        done(scheduler, taken[0])

    killed(crawl)
    scheduler = opened(tmp_path)
    assert urls(scheduler) == ["4", "2", "1", "0"]
    scheduler.close("finished")


def test_a_request_that_scrapy_is_done_with_is_removed(tmp_path: Path) -> None:
    scheduler = opened(tmp_path)
    scheduler.enqueue_request(page(0))
    request = scheduler.next_request()
    with coshelf.open(tmp_path / "crawl.shelf") as shelf:
        assert len(shelf.sub("scrapy").sub("started")) == 1
        done(scheduler, request)
        assert len(shelf.sub("scrapy").sub("started")) == 0
        assert not scheduler.enqueue_request(page(0))
        assert scheduler.enqueue_request(page(0, dont_filter=True))
    scheduler.close("finished")


def test_requests_that_were_put_back_survive_another_kill(tmp_path: Path) -> None:
    def begin() -> None:
        scheduler = opened(tmp_path)
        scheduler.enqueue_request(page(0))
        scheduler.next_request()

    killed(begin)
    killed(lambda: opened(tmp_path))
    killed(lambda: opened(tmp_path).next_request())
    scheduler = opened(tmp_path)
    assert urls(scheduler) == ["0"]
    scheduler.close("finished")


def test_the_state_of_the_spider_is_stored_when_a_request_is_done(tmp_path: Path) -> None:
    def crawl() -> None:
        scheduler = opened(tmp_path)
        spider = scheduler.crawler.spider
        build_from_crawler(SpiderState, scheduler.crawler).spider_opened(spider)
        for number in range(2):
            scheduler.enqueue_request(page(number))
            request = scheduler.next_request()
            spider.state = {"pages": number + 1}
            if number == 0:
                done(scheduler, request)

    killed(crawl)
    made = crawler(tmp_path)
    state = build_from_crawler(SpiderState, made)
    state.spider_opened(made.spider)
    assert made.spider.state == {"pages": 1}
    made.spider.state["pages"] = 7
    state.spider_closed(made.spider)
    with coshelf.open(tmp_path / "crawl.shelf", "r") as shelf:
        assert shelf["scrapy/state"] == {"pages": 7}


def test_a_second_crawl_is_refused_and_names_the_first(tmp_path: Path) -> None:
    first = opened(tmp_path)
    first.enqueue_request(page(0))
    with pytest.raises(coshelf.TurnTimeout, match="crawl of pages"):
        opened(tmp_path)
    assert urls(first) == ["0"]
    first.close("finished")
    opened(tmp_path).close("finished")


def test_a_request_that_cannot_be_pickled_is_kept_in_memory(tmp_path: Path) -> None:
    scheduler = opened(tmp_path)
    assert scheduler.enqueue_request(page(0, meta={"call": lambda: 1}))
    assert scheduler.enqueue_request(page(1))
    assert scheduler.stats.get_value("scheduler/unserializable") == 1
    assert (len(scheduler.dqs), len(scheduler.mqs)) == (1, 1)
    assert urls(scheduler) == ["0", "1"]
    scheduler.close("finished")


def test_without_a_job_directory_all_is_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    scheduler = opened(None)
    assert scheduler.enqueue_request(page(0))
    assert not scheduler.enqueue_request(page(0))
    assert urls(scheduler) == ["0"]
    scheduler.close("finished")
    assert list(tmp_path.iterdir()) == []
    made = crawler(None)
    with pytest.raises(NotConfigured):
        build_from_crawler(SpiderState, made)
    with pytest.raises(NotConfigured, match="JOBDIR"):
        FifoDiskQueue.from_crawler(made, "requests.queue/0")


def test_a_crawl_of_another_priority_queue_says_what_it_leaves(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    scrapys = {"SCHEDULER_PRIORITY_QUEUE": "scrapy.pqueues.ScrapyPriorityQueue"}
    killed(lambda: opened(tmp_path, **scrapys).enqueue_request(page(0)))
    with caplog.at_level(logging.WARNING):
        opened(tmp_path, **scrapys).close("finished")
    assert "1 of the 1 requests" in caplog.text


def test_settings_of_the_project_come_before_those_of_the_add_on(tmp_path: Path) -> None:
    made = crawler(tmp_path, SCHEDULER_DISK_QUEUE="coshelf.contrib.scrapy.FifoDiskQueue")
    assert made.settings["SCHEDULER_DISK_QUEUE"] == "coshelf.contrib.scrapy.FifoDiskQueue"
    assert made.settings["SCHEDULER"] == "coshelf.contrib.scrapy.Scheduler"
    found = [type(extension) for extension in made.extensions.middlewares]
    assert SpiderState in found
    assert [kind.__name__ for kind in found].count("SpiderState") == 1


def test_fingerprints_are_not_kept_in_memory(tmp_path: Path) -> None:
    made = crawler(tmp_path)
    seen = DupeFilter.from_crawler(made)
    seen.open()
    assert not seen.request_seen(page(0))
    assert seen.request_seen(page(0))
    assert seen._fingerprints == set()
    seen.close("finished")


@pytest.mark.parametrize("target", ["memory:", "files:{}/files"])
def test_an_engine_that_may_lose_requests_is_refused(tmp_path: Path, target: str) -> None:
    with pytest.raises(coshelf.Unsupported, match=r"atomic|persistent"):
        opened(tmp_path, COSHELF_TARGET=target.format(tmp_path))


def test_a_crawl_can_be_in_sqlite(tmp_path: Path) -> None:
    target = f"sqlite:{tmp_path / 'crawl.sqlite'}"

    def crawl() -> None:
        scheduler = opened(tmp_path / "job", COSHELF_TARGET=target)
        scheduler.enqueue_request(page(0))
        scheduler.enqueue_request(page(1))
        scheduler.next_request()

    killed(crawl)
    scheduler = opened(tmp_path / "job", COSHELF_TARGET=target)
    assert urls(scheduler) == ["1", "0"]
    scheduler.close("finished")


def test_a_limit_is_refused_because_requests_would_be_removed(tmp_path: Path) -> None:
    with pytest.raises(coshelf.InvalidLimit, match="COSHELF_HTTPCACHE_TARGET"):
        opened(tmp_path, COSHELF_OPTIONS={"max_entries": 10})


def test_a_file_that_is_not_a_shelf_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "crawl.shelf").write_text("notes")
    with pytest.raises(coshelf.NotAShelf):
        opened(tmp_path)
    assert (tmp_path / "crawl.shelf").read_text() == "notes"


def test_a_default_expiry_of_the_shelf_removes_no_request(tmp_path: Path) -> None:
    scheduler = opened(tmp_path, COSHELF_OPTIONS={"expire": 0.000001})
    assert scheduler.enqueue_request(page(0))
    assert not scheduler.enqueue_request(page(0))
    assert urls(scheduler) == ["0"]
    scheduler.close("finished")


def test_a_shelf_that_is_not_trusted_gives_requests_of_plain_data(tmp_path: Path) -> None:
    scheduler = opened(tmp_path, COSHELF_OPTIONS={"trust": False})
    sent = page(0, method="POST", body=b"a", headers={"A": ["1", "2"]}, cookies={"b": "c"}, cb_kwargs={"d": [1]})
    scheduler.enqueue_request(sent)
    found = scheduler.next_request()
    assert found.to_dict(spider=scheduler.spider) == sent.to_dict(spider=scheduler.spider)
    scheduler.close("finished")


def test_a_request_that_cannot_be_loaded_stays_and_the_crawl_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    scheduler = opened(tmp_path)
    for number in range(4):
        scheduler.enqueue_request(page(number))
    crawl = scheduler.dqs._crawl
    second = sorted(crawl.queues)[1]
    crawl.queues[second] = {**crawl.queues[second], "callback": "no_such_method"}
    third = sorted(crawl.queues)[2]
    crawl.queues[third] = {**crawl.queues[third], "_class": "no_such_module.Request"}
    scheduler.enqueue_request(page(4, host="b"))
    assert sorted(urls(scheduler)) == ["0", "3", "4"]
    assert not scheduler.has_pending_requests()
    assert "no_such_method" in caplog.text
    assert "no_such_module" in caplog.text
    assert sorted(crawl.queues) == [second, third]
    scheduler.enqueue_request(page(5))
    assert urls(scheduler) == ["5"]
    scheduler.close("finished")
    again = opened(tmp_path)
    assert len(again) == 2
    again.close("finished")


def test_a_job_directory_may_look_like_a_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    opened("redis:books").close("finished")  # type: ignore[arg-type]
    assert (tmp_path / "redis:books" / "crawl.shelf").exists()
