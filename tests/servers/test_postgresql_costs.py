"""How many requests each operation takes, as a proxy in front of the server counts them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from postgresql import Postgresql
from tcp_proxy import TcpProxy

import coshelf

Shelf = coshelf.Shelf[Any, Any]

HUNDRED = {f"k{number:03}": number for number in range(100)}


@pytest.fixture
def proxy(postgresql: Postgresql) -> Iterator[TcpProxy]:
    with TcpProxy(postgresql.port) as proxy:
        yield proxy


def in_transaction(shelf: Shelf) -> None:
    with shelf.transaction() as transaction:
        transaction["a"] = transaction["b"]
        transaction["c"] = 1


def snapshot_of_nothing(shelf: Shelf) -> None:
    with shelf.snapshot():
        pass


COSTS: list[tuple[str, Callable[[Shelf], object], int]] = [
    ("get", lambda shelf: shelf["k001"], 1),
    ("missing", lambda shelf: shelf.get("none"), 1),
    ("in", lambda shelf: "k001" in shelf, 1),
    ("set", lambda shelf: shelf.__setitem__("k001", 1), 1),
    ("get_many of 100", lambda shelf: shelf.get_many(HUNDRED), 1),
    ("update of 100", lambda shelf: shelf.update(HUNDRED), 1),
    ("len", len, 1),
    ("scan of 100", lambda shelf: dict(shelf.items()), 1),
    ("keys of 100, backwards", lambda shelf: [*reversed(shelf)], 1),
    ("range of 100", lambda shelf: dict(iter(shelf.items(prefix="k0"))), 1),
    ("modify", lambda shelf: shelf.modify("count", lambda count: count + 1, default=0), 2),
    ("replace", lambda shelf: shelf.replace("k001", 1, 1), 2),
    ("setdefault of what is there", lambda shelf: shelf.setdefault("k001", 2), 1),
    ("pop and set again", lambda shelf: shelf.__setitem__("k002", shelf.pop("k002")), 3),
    ("clear of nothing, and update", lambda shelf: (shelf.clear(), shelf.update(HUNDRED)), 2),
    ("snapshot", snapshot_of_nothing, 2),
    ("transaction of 1 read and 2 writes", in_transaction, 1 + 1 + 1 + 2),
]


@pytest.mark.parametrize(("name", "operation", "requests"), COSTS, ids=[name for name, _, _ in COSTS])
def test_operation_takes_no_more_requests_than_these(
    postgresql: Postgresql, proxy: TcpProxy, name: str, operation: Callable[[Shelf], object], requests: int
) -> None:
    url = postgresql.url().replace(str(postgresql.port), str(proxy.port))
    with coshelf.open(url) as shelf:
        shelf.update(HUNDRED)
        for key in ("b", "c", "count"):
            shelf.update(HUNDRED)
            if "transaction" in name:
                shelf[key] = 1
        for _ in range(2):  # each connection has its statements prepared once
            operation(shelf)
        before = proxy.requests
        operation(shelf)
        # Fewer are counted if the proxy gets two of them before the server has answered the first.
        assert 0 < proxy.requests - before <= requests


def test_scan_of_thousands_is_read_by_growing_pages(postgresql: Postgresql, proxy: TcpProxy) -> None:
    url = postgresql.url().replace(str(postgresql.port), str(proxy.port))
    with coshelf.open(url) as shelf:
        shelf.update({number: number for number in range(10_000)})
        list(shelf)
        before = proxy.requests
        assert len([*shelf.items()]) == 10_000
        assert proxy.requests - before < 20
