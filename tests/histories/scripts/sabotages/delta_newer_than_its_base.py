"""A snapshot whose delta is newer than its base."""

import random
import time

from coshelf.engines.lmdb import engine, instant


def take(environment, start, stop, _take=instant.take_instant):
    early = instant.ReadTransaction(environment)
    time.sleep(random.random() * 0.002)
    read, instant.ReadTransaction = instant.ReadTransaction, lambda environment: early
    try:
        return _take(environment, start, stop)
    finally:
        instant.ReadTransaction = read


engine.take_instant = take
