"""A commit that names keys which must not have changed is refused if one has changed since its stamp."""

from __future__ import annotations

import threading
from typing import Any

import pytest

CHANGED = -6
CLAIMED = -2


def row(key: bytes, body: bytes) -> tuple[bytes, bytes, int]:
    from logs import row

    return row(key, body)


def test_a_commit_that_was_under_way_at_the_stamp_is_a_change(files: Any) -> None:
    log, other = files.made(), files.open()
    log.put(*row(b"k", b"old"))
    under_way, go_on = threading.Event(), threading.Event()

    def before() -> None:
        under_way.set()
        assert go_on.wait(300)

    committing = threading.Thread(
        target=log.commit, args=([row(b"k", b"new")], False, [], log.stamp(), before), daemon=True
    )
    committing.start()
    assert under_way.wait(300)
    stamp = other.stamp()
    assert other.get(b"k")[:3] == b"old"
    go_on.set()
    committing.join(300)
    assert other.commit([row(b"k", b"from old")], False, [b"k"], stamp, None) == CHANGED
    assert other.get(b"k")[:3] == b"new"


def test_a_commit_to_the_base_that_was_under_way_at_the_stamp_is_a_change(files: Any) -> None:
    log = files.made()
    files.claim(True)
    log.take_number()
    stamp = log.stamp()
    assert log.commit([row(b"k", b"v")], False, [b"k"], stamp, None) == CLAIMED
    files.claim(False)
    assert log.commit([row(b"k", b"v")], False, [b"k"], stamp, None) == CHANGED
    assert log.commit([row(b"k", b"v")], False, [b"k"], log.stamp(), None) > 0


def test_the_holder_of_the_exclusive_lock_commits_beside_its_own_claim(files: Any) -> None:
    log = files.made()
    log.take_number()
    files.claim(True)
    assert log.commit([row(b"k", b"v")], True, [b"k"], log.stamp(), None) > 0


def test_only_changes_of_the_checked_keys_count(files: Any) -> None:
    log = files.made()
    log.put(*row(b"k", b"v"))
    stamp = log.stamp()
    log.put(*row(b"another", b"v"))
    assert log.commit([row(b"k", b"w")], False, [b"k", b"missing"], stamp, None) > 0
    assert log.commit([row(b"k", b"x")], False, [b"k"], stamp, None) == CHANGED


def test_an_emptied_segment_counts_as_changed(files: Any) -> None:
    log = files.made()
    log.put(*row(b"k", b"v"))
    stamp = log.stamp()
    _, last = log.swap(0)
    log.remove(last)
    assert log.commit([row(b"k", b"w")], False, [b"k"], stamp, None) == CHANGED


def test_a_commit_that_is_taken_back_leaves_nothing(files: Any) -> None:
    log = files.made()
    log.put(*row(b"k", b"v"))

    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        log.commit([row(b"k", b"w"), row(b"n", b"w")], False, [], log.stamp(), fail)
    assert log.get(b"k")[:-12] == b"v"
    assert log.get(b"n") is None
    assert [key for key, _ in log.rows(b"", None)] == [b"k"]
