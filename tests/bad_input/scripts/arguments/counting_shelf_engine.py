"""The module of a third party's engine, as its package would have it."""

from coshelf.engines.memory import MemoryEngine
from coshelf.errors import MissingExtra


class Counting(MemoryEngine):
    name = "counting"


def open_engine(target, options):
    engine = Counting(options)
    engine.where = target
    engine.options = options  # type: ignore[attr-defined]
    return engine


def without_driver(target, options):
    raise MissingExtra("driver is not installed. Install it with: pip install counting[driver]")
