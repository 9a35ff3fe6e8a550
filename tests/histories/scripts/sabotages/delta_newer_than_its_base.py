"""A snapshot whose delta is newer than its base."""

import random
import time

from coshelf.engines.lmdb import engine, instant


def take(environment, start, stop, _take=instant.take_instant):
    early = instant.ReadTransaction(environment)  # type: ignore[attr-defined]
    time.sleep(random.random() * 0.002)
    read, instant.ReadTransaction = instant.ReadTransaction, lambda environment: early  # type: ignore[attr-defined]
    try:
        return _take(environment, start, stop)
    finally:
        instant.ReadTransaction = read  # type: ignore[attr-defined]


engine.take_instant = take  # type: ignore[attr-defined]
