"""A call that may take long does not keep its caller."""

from __future__ import annotations

import threading

import pytest

from coshelf.system.waiting.bounded_wait import within


def test_call_that_takes_too_long_is_left_behind() -> None:
    go_on, done = threading.Event(), threading.Event()

    def wait() -> None:
        go_on.wait(60)
        done.set()

    with pytest.raises(TimeoutError, match=r"no answer for 0\.01 s"):
        within(0.01, wait)
    go_on.set()
    assert done.wait(60)


def test_what_the_call_raises_is_raised_in_the_caller() -> None:
    with pytest.raises(ZeroDivisionError):
        within(60, lambda: 1 // 0)
