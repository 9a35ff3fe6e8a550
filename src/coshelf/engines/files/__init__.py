"""The ``files`` engine: a directory in which every value is a file and every key a path, in pickleshare's layout."""

from coshelf.engines.files.engine import FilesEngine
from coshelf.engines.files.opening import open_engine

__all__ = ["FilesEngine", "open_engine"]
