"""The implementation of :mod:`coshelf.sqlitedict`."""
