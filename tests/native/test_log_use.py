"""Odd uses of a log from Python: it is closed, entered again, or interrupted in the middle of a call."""

from __future__ import annotations

from typing import Any

import pytest

NESTED = -7


def row(key: bytes, body: bytes) -> tuple[bytes, bytes, int]:
    from logs import row

    return row(key, body)


def test_a_log_that_is_closed_in_a_commit_is_given_up_behind_it(files: Any) -> None:
    log, other = files.made(), files.open()
    assert log.commit([row(b"k", b"v")], False, [], log.stamp(), log.close) == 1
    with pytest.raises(ValueError, match="closed"):
        log.get(b"k")
    assert other.get(b"k")[:-12] == b"v"


def test_a_call_in_the_middle_of_a_commit_is_refused_or_reads(files: Any) -> None:
    log = files.made()
    found: list[object] = []

    def before() -> None:
        found.append(log.put(*row(b"n", b"v")))
        found.append(log.get(b"k"))
        found.append(log.rows(b"", None))
        for call in (log.barrier, log.take_number, lambda: log.swap(0), lambda: log.remove(0)):
            with pytest.raises(RuntimeError, match="in the middle of a commit"):
                call()

    assert log.commit([row(b"k", b"v")], False, [], log.stamp(), before) == 1
    assert found == [NESTED, None, []]
    assert [key for key, _ in log.rows(b"", None)] == [b"k"]


def test_a_name_that_closes_the_log_is_no_danger(files: Any) -> None:
    log = files.made()

    class Name:
        @property
        def gone(self) -> None:
            log.close()

    class Flusher:
        noticed: list[None] = []  # noqa: RUF012  (the log wants the list itself)
        thread = None

    log.notice_by(Flusher, Name(), 32)
    assert log.store("k", 1) is False
