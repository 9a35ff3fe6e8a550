"""What is behind the drop-in modules: ``coshelf.shelve``, ``coshelf.dbm`` and ``coshelf.pickleshare``."""
