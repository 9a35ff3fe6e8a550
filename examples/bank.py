"""Four processes move money between the accounts of one shelf. One is killed in the middle, and nothing is lost.

    python bank.py [--shelf FILE] [--seconds NUMBER] [--tellers NUMBER]

A teller takes an amount from one account, adds it to another and counts the transfer, in one commit. So the sum of all
accounts never changes, at whatever instant somebody looks and whoever is killed. After each commit a teller notes
outside of the shelf that the commit has returned. In the end the shelf must have all transfers that were noted.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from multiprocessing.context import SpawnProcess
from typing import Any

import coshelf

ACCOUNTS, DEPOSIT = 100, 100
SPAWN = multiprocessing.get_context("spawn")
Show = Callable[["Bank"], None]


def serve(path: str, number: int, returned: Any, end: Any) -> None:
    """What a teller does until the end: one transfer after the other, and a note of each commit that returned."""
    dice = random.Random(number)
    with coshelf.open(path) as shelf:
        while not end.is_set():
            giver, taker = dice.sample(range(ACCOUNTS), 2)
            with shelf.transaction() as transaction:
                amount = dice.randint(0, transaction["account", giver])
                transaction["account", giver] -= amount
                transaction["account", taker] += amount
                transaction["transfers", number] += 1
            returned[number] += 1


@dataclass
class Teller:
    """A process, and what is known of it from outside."""

    process: SpawnProcess
    transfers: int = 0
    was_killed: bool = False


class Bank:
    """The shelf, the tellers, and what each look at them found."""

    def __init__(self, shelf: coshelf.Shelf[Any, Any], count: int) -> None:
        self.shelf = shelf
        with shelf.transaction() as transaction:
            transaction.update({("account", number): DEPOSIT for number in range(ACCOUNTS)})
            transaction.update({("transfers", number): 0 for number in range(count)})
        self.returned = SPAWN.RawArray("q", count)
        self.end = SPAWN.Event()
        self.tellers = [Teller(self._process(number)) for number in range(count)]
        self.looks = 0
        self.sums: set[int] = set()

    def _process(self, number: int) -> SpawnProcess:
        return SPAWN.Process(target=serve, args=(self.shelf.name, number, self.returned, self.end), daemon=True)

    def look(self) -> None:
        """Read all accounts as of one instant, while the tellers work."""
        with self.shelf.snapshot() as then:
            self.sums.add(sum(then.values(prefix=("account",))))
            for number, teller in enumerate(self.tellers):
                teller.transfers = then["transfers", number]
        self.looks += 1

    def kill(self, number: int) -> None:
        """Kill a teller, wherever it is: it gets no chance to clean up."""
        teller = self.tellers[number]
        teller.process.kill()
        teller.process.join()
        teller.was_killed = True

    def run(self, seconds: float, show: Show) -> None:
        """Let the tellers work, and kill one of them halfway."""
        for teller in self.tellers:
            teller.process.start()
        while not all(self.returned):  # until each has made a transfer
            time.sleep(0.05)
            show(self)
        start = time.monotonic()
        while (passed := time.monotonic() - start) < seconds:
            if passed > seconds / 2 and len(self.tellers) > 1 and not self.tellers[1].was_killed:
                self.kill(1)
            self.look()
            show(self)
            time.sleep(0.05)
        self.end.set()
        for teller in self.tellers:
            teller.process.join()
        self.look()
        show(self)

    def verdict(self) -> tuple[bool, list[str]]:
        """Whether all is there, and what to print."""
        found, noted = sum(teller.transfers for teller in self.tellers), sum(self.returned)
        killed = sum(teller.was_killed for teller in self.tellers)
        # A teller that is killed between its commit and its note has made one transfer more than it noted.
        lost = [n for n, t in enumerate(self.tellers) if not 0 <= t.transfers - self.returned[n] <= t.was_killed]
        right = self.sums == {ACCOUNTS * DEPOSIT} and not lost
        sums = ", ".join(f"{each:,}" for each in sorted(self.sums))
        lines = [
            f"{found:,} transfers by {len(self.tellers)} processes, {killed} of them killed",
            f"{noted:,} commits had returned, and {'not all' if lost else 'all'} of their transfers are in the shelf",
            f"{self.looks:,} looks at all accounts; their sum was always {sums}",
        ]
        return right, lines


@contextmanager
def screen() -> Iterator[Show]:
    """Give a function that shows the bank: a table on a terminal that has rich, else a line a second."""
    if sys.stdout.isatty() and find_spec("rich"):
        from rich.live import Live

        with Live(refresh_per_second=10) as live:
            yield lambda bank: live.update(table(bank))
        return
    last = time.monotonic()

    def show(bank: Bank) -> None:
        nonlocal last
        if bank.looks and time.monotonic() - last >= 1:
            last = time.monotonic()
            print(f"{sum(teller.transfers for teller in bank.tellers):,} transfers", flush=True)

    yield show


def table(bank: Bank) -> Any:
    """The bank as a table of rich."""
    from rich.table import Table

    shown = Table("process", "transfers", "", title="one shelf, several processes", title_justify="left")
    most = max(1, *(teller.transfers for teller in bank.tellers))
    for teller in bank.tellers:
        bar = "█" * (40 * teller.transfers // most)
        state = "[red]killed, in the middle of its work[/]" if teller.was_killed else f"[green]{bar}[/]"
        shown.add_row(str(teller.process.pid), f"{teller.transfers:,}", state)
    shown.caption = f"sum of all accounts, {bank.looks:,} looks: {', '.join(f'{s:,}' for s in sorted(bank.sums))}"
    shown.caption_justify = "left"
    return shown


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shelf", help="default: a temporary file")
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--tellers", type=int, default=4)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        with coshelf.open(given.shelf or os.path.join(directory, "bank.shelf")) as shelf, screen() as show:
            bank = Bank(shelf, given.tellers)
            bank.run(given.seconds, show)
        right, lines = bank.verdict()
    print("\n".join(lines))
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
