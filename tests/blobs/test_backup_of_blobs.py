"""A backup that has its name has its blobs, whatever fails behind that."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

import coshelf
from coshelf.engines.lmdb.files import copies
from coshelf.values.blobs import LARGE


def test_a_backup_whose_name_cannot_be_made_durable_keeps_its_blobs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "copy.shelf"

    def fail(directory: str) -> None:
        raise OSError(errno.EIO, "no such luck")

    with coshelf.open(tmp_path / "a.shelf") as shelf:
        shelf["a"] = bytearray(LARGE)
        shelf.backup(copy)
        shelf["a"] = bytearray(b"x" * LARGE)
        with monkeypatch.context() as patch:
            patch.setattr(copies, "sync_directory", fail)
            with pytest.raises(coshelf.StorageError):
                shelf.backup(copy, overwrite=True)
    assert coshelf.check(copy).ok
    with coshelf.open(copy) as copied:
        assert copied["a"] == b"x" * LARGE
