"""The implementation of the drop-in modules, such as ``coshelf.shelve`` and ``coshelf.sqlitedict``."""
