"""A file system of fsspec in a shelf, for pandas, Dask, xarray, pyarrow and all that opens files through fsspec.

>>> fs = CoshelfFileSystem("memory:")
>>> with fs.transaction:
...     fs.pipe("sales/2025.csv", b"1,2")
...     fs.pipe("sales/2026.csv", b"3,4")
>>> fs.find("sales"), fs.cat_file("sales/2026.csv", start=2)
(['/sales/2025.csv', '/sales/2026.csv'], b'4')
>>> fs.close()
"""

from __future__ import annotations

from coshelf.contrib.fsspec.file_system import CoshelfFileSystem

__all__ = ["CoshelfFileSystem"]
