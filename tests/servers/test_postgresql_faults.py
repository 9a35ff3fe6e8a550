"""PostgreSQL servers that are killed, restarted, frozen and replaced, with writers at work."""

from __future__ import annotations

import logging
import os
import signal
import time
import traceback
from collections.abc import Iterator
from typing import Any

import pytest
from ports import free_port
from postgresql import Postgresql, new_server
from writers import Work, check_nothing_lost, writing

import coshelf
from coshelf.errors import OutcomeUnknown, ShelfNotFound, Unavailable


@pytest.fixture
def durable_server() -> Iterator[Postgresql]:
    server = new_server(durable=True)
    try:
        server.make()
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
def standby() -> Iterator[Postgresql]:
    server = new_server(durable=True)
    yield server
    server.remove()


WORK = Work(keys=7, counts_every=1, timeout=8)


def test_server_killed_under_eight_writers_loses_nothing(durable_server: Postgresql) -> None:
    url = durable_server.url()
    with coshelf.open(url) as shelf:
        assert shelf.capabilities.acknowledged == "durable"
        with writing(url, 8, WORK) as writers:
            writers.see_them_go_on()
            durable_server.kill()
            time.sleep(0.3)
            durable_server.start()
            writers.see_them_go_on()
            all_told = writers.finish()
        check_nothing_lost(shelf, all_told)
    assert {error.partition(":")[0] for told in all_told for error in told.failed} <= {"Unavailable", "Conflict"}
    assert all(told.counted for told in all_told)
    assert max(told.slowest for told in all_told) < 30


def test_promoted_standby_has_all_that_was_acknowledged(durable_server: Postgresql, standby: Postgresql) -> None:
    standby.follow(durable_server)
    standby.start()
    durable_server.make_synchronous()
    url = durable_server.url(others=[standby])
    with coshelf.open(url) as shelf:
        assert shelf.capabilities.consistency == "strict"
        with writing(url, 4, WORK) as writers:
            writers.see_them_go_on()
            durable_server.kill()
            standby.promote()
            writers.see_them_go_on()
            all_told = writers.finish()
        check_nothing_lost(shelf, all_told)
    assert {error.partition(":")[0] for told in all_told for error in told.failed} <= {"Unavailable", "Conflict"}
    assert all(told.counted for told in all_told)
    assert max(told.slowest for told in all_told) < 30


def test_standby_is_read_where_that_is_asked_for_and_says_what_it_is(
    durable_server: Postgresql, standby: Postgresql
) -> None:
    standby.follow(durable_server)
    standby.start()
    durable_server.wait_for("SELECT FROM pg_stat_replication")
    url = durable_server.url()
    with coshelf.open(url) as shelf:
        assert shelf.capabilities.consistency == "primary"
        shelf["a"] = 1
    name = url.partition("shelf=")[2]
    standby.wait_for("SELECT FROM coshelf_entries WHERE key = '0a'")
    with coshelf.open(standby.url(name, target_session_attrs="any"), "r", timeout=30) as reader:
        assert reader["a"] == 1
        assert reader.capabilities.consistency == "eventual"
        assert "standby" in str(reader.capabilities.server)
    with pytest.raises(Unavailable):
        coshelf.open(standby.url(name), timeout=0.5)


def test_restart_between_two_calls_goes_unnoticed(durable_server: Postgresql) -> None:
    with coshelf.open(durable_server.url()) as shelf:
        shelf["a"] = 1
        for number in range(2):
            durable_server.stop()
            durable_server.start()
            if number:
                shelf["a"] = 2
            assert shelf["a"] == 1 + number


def test_snapshot_says_that_its_connection_was_lost_and_the_shelf_goes_on(durable_server: Postgresql) -> None:
    with coshelf.open(durable_server.url()) as shelf:
        shelf["a"] = 1
        with shelf.snapshot() as snapshot:
            durable_server.stop()
            durable_server.start()
            with pytest.raises(Unavailable, match="instant"):
                snapshot["a"]
        assert shelf["a"] == 1


def test_frozen_server_holds_nobody_up(durable_server: Postgresql) -> None:
    shelf: coshelf.Shelf[Any, Any] = coshelf.open(durable_server.url(), timeout=3)
    shelf["a"] = 1
    frozen = [durable_server.pid, *durable_server.children()]
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        with pytest.raises(OutcomeUnknown, match="silent"):
            shelf["a"] = 2
        assert time.monotonic() - began < 30
        began = time.monotonic()
        with pytest.raises(Unavailable, match=rf"127\.0\.0\.1:{durable_server.port}.*\n.*tried .* times in"):
            shelf["a"]
        assert time.monotonic() - began < 30
    finally:
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)
    assert shelf["a"] in (1, 2)
    shelf.close()


def test_session_ended_by_an_administrator_is_made_anew(postgresql: Postgresql) -> None:
    with coshelf.open(postgresql.url()) as shelf:
        for number in range(3):
            shelf["a"] = number
            ended = set(postgresql.backends())
            for pid in ended:
                os.kill(pid, signal.SIGTERM)
            while ended & set(postgresql.backends()):
                time.sleep(0.01)
        shelf["a"] = 3
        assert shelf["a"] == 3


def test_nobody_there_is_said_with_address_and_patience() -> None:
    port = free_port()
    began = time.monotonic()
    with pytest.raises(Unavailable) as caught:
        coshelf.open(f"postgresql://ann@127.0.0.1:{port}/db?shelf=x", timeout=0.5)
    assert time.monotonic() - began < 20
    assert f"postgresql://127.0.0.1:{port}/db?shelf=x" in str(caught.value)
    assert "timeout 0.5 s" in str(caught.value)


def test_database_that_is_not_there_is_said_at_once(postgresql: Postgresql) -> None:
    began = time.monotonic()
    with pytest.raises(ShelfNotFound):
        coshelf.open(postgresql.url().replace("/postgres?", "/nothing?"))
    assert time.monotonic() - began < 20


SECRET = "sesame-open-9"


@pytest.mark.parametrize("place", ["there", "nowhere", "malformed"])
def test_secrets_are_shown_nowhere(postgresql: Postgresql, place: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    url = postgresql.url().replace("postgres@", f"postgres:{SECRET}@")
    shown = []
    if place == "there":
        with coshelf.open(url) as shelf:
            shelf["a"] = 1
            shown += [repr(shelf), shelf.name, repr(shelf.info()), repr(shelf.capabilities), repr(vars(shelf._handle))]
            for pid in postgresql.backends():
                os.kill(pid, signal.SIGTERM)
            shelf.get("a")
            with pytest.raises(TypeError) as refused:
                shelf.__reduce__()
            shown.append(str(refused.value))
    else:
        wrong = url.replace(str(postgresql.port), str(free_port()) if place == "nowhere" else "port")
        try:
            coshelf.open(wrong + "&sslpassword=" + SECRET, timeout=0.3)
        except (Unavailable, ValueError):
            shown.append(traceback.format_exc())
    assert shown
    assert SECRET not in "".join(shown) + caplog.text
