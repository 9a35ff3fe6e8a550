"""The implementation of the drop-in modules: ``coshelf.shelve``, ``coshelf.dbm`` and ``coshelf.pickleshare``."""
