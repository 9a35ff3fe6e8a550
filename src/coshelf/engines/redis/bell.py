"""The doorbell: each commit is announced on a channel of its bucket, or on another if it changes lines and queues."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

from coshelf.contract import PollingBell
from coshelf.engines.redis.client import Client
from coshelf.engines.redis.layout import Bucket

__all__ = ["CountingBell", "SubscribedBell"]

_POLL = 0.05  # seconds
_LOOK = 5.0  # seconds after which a wait returns to Python, which handles signals then


class CountingBell(PollingBell):
    """The sequence number is the number of changes, which the server counts. A waiting reader asks after each pause.

    Args:
        client: the connection to the servers.
        bucket: where the changes are.
        of_lines: whether the changes are those of lines and queues, or all others.
    """

    def __init__(self, client: Client, bucket: Bucket, *, of_lines: bool) -> None:
        super().__init__(_POLL)
        self._client = client
        self._bucket = bucket
        self._channel = bucket.line_bell if of_lines else bucket.bell
        self._counter = b"line-changes" if of_lines else b"changes"

    def sequence(self) -> int:
        return int(self._client.read(self._bucket.slot, b"HGET", self._bucket.state, self._counter) or 0)


class SubscribedBell(CountingBell):
    """A waiting reader learns of a change at once, by a connection of the bell's own.

    A channel keeps no messages for later subscribers. So the subscription is confirmed before the sequence number is
    read. If the connection is lost, there is no subscription, and a waiting reader asks after each pause.
    """

    def __init__(self, client: Client, bucket: Bucket, *, of_lines: bool, sharded: bool) -> None:
        super().__init__(client, bucket, of_lines=of_lines)
        self._sharded = sharded
        self._subscription: Any = None

    def sequence(self) -> int:
        if self._subscription is None:
            with suppress(Exception):  # if the cause lasts, reading the sequence number raises
                self._subscribe()
        return super().sequence()

    def wait(self, sequence: int, timeout: float | None) -> None:
        end = None if timeout is None else time.monotonic() + timeout
        while self._subscription is not None:
            left = None if end is None else end - time.monotonic()
            if left is not None and left <= 0:
                return
            try:
                message = self._subscription.get_message(timeout=_LOOK if left is None else min(left, _LOOK))
            except Exception:  # the connection is lost
                self._give_up()
                break
            if message is None:
                continue
            if message["type"] not in ("message", "smessage"):  # for example, the slot has moved
                self._give_up()
                return
            if int(message["data"]) > sequence:
                return
        super().wait(sequence, None if end is None else max(0.0, end - time.monotonic()))

    def _subscribe(self) -> None:
        subscription = self._client.primary(self._bucket.slot).pubsub()
        try:
            (subscription.ssubscribe if self._sharded else subscription.subscribe)(self._channel)
            confirmed = subscription.get_message(timeout=self._client.reply_timeout)
            if confirmed is None or confirmed["type"] not in ("subscribe", "ssubscribe"):
                raise TimeoutError
        except BaseException:
            subscription.close()
            raise
        self._subscription = subscription

    def _give_up(self) -> None:
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            with suppress(Exception):
                subscription.close()
