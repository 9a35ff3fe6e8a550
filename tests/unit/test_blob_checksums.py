"""The sum of a blob is the same whichever module it is made with."""

from __future__ import annotations

import random
import sys
import tempfile
import zlib

import pytest

from coshelf.engines.lmdb.blobs import blob_file, checksums


@pytest.mark.parametrize("way", [checksums.fastest(), checksums.PLAIN])
@pytest.mark.parametrize("sizes", [(1,), (3 << 20, 17), (9 << 20,)])
def test_sum_and_content_do_not_depend_on_the_module(
    way: checksums.Sum, sizes: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blob_file, "fastest", lambda: way)
    chance = random.Random(0)
    contents = [chance.randbytes(size) for size in sizes]
    places, at = [], 4096
    for size in sizes:
        places.append(at)
        at += -(-size // 4096) * 4096
    with tempfile.TemporaryFile() as file:
        found = blob_file.write_buffers(file.fileno(), [memoryview(content) for content in contents], places)
        assert found == zlib.crc32(b"".join(contents))
        for content, place in zip(contents, places, strict=True):
            file.seek(place)
            assert file.read(len(content)) == content


def test_zlib_ng_is_used_where_it_is_and_not_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert checksums.fastest.__wrapped__().is_cheap
    monkeypatch.setitem(sys.modules, "zlib_ng", None)
    assert checksums.fastest.__wrapped__() is checksums.PLAIN
