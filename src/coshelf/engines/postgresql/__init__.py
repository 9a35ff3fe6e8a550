"""The postgresql engine: a shelf in a table of a PostgreSQL database, for any number of machines."""

from __future__ import annotations

from typing import Any

from coshelf.contract import Engine, OpenOptions
from coshelf.system.extras import imported

__all__ = ["open_engine"]


def open_engine(target: Any, options: OpenOptions) -> Engine:
    """Open the shelf at ``postgresql://USER@HOST:PORT/DATABASE?shelf=NAME``, making it if the flag allows."""
    imported("psycopg_pool", "postgresql", "a shelf on PostgreSQL")
    from coshelf.engines.postgresql.engine import PostgresqlEngine

    return PostgresqlEngine(target, options)
