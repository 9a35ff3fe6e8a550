"""What zero, None, a negative number and each unit of time mean: a table over all adapters.

``tests/contrib/edges/NAME.py`` has the rows of an adapter.
"""

from __future__ import annotations

import importlib.util
import time
from pathlib import Path

import pytest
from edge import Edge

import coshelf

FOLDER = Path(__file__).parent / "edges"


def rows_of(path: Path) -> list[Edge]:
    spec = importlib.util.spec_from_file_location(f"edges_of_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    rows: list[Edge] = module.rows()
    return rows


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.py")))
def test_times_mean_what_the_framework_says(name: str, tmp_path: Path) -> None:
    rows = rows_of(FOLDER / f"{name}.py")
    assert rows
    for number, row in enumerate(rows):
        assert found(row, str(tmp_path / f"{number}.shelf")), (
            f"{name}: {row.call} is not {row.then} {row.seconds or ''}"
        )


def found(row: Edge, path: str) -> bool:
    """Whether the entry is what the row says."""
    if row.then == "refused":
        assert row.error is not None
        with pytest.raises(row.error):
            row.run(path)
        return True
    before = time.time()
    key = row.run(path)
    after = time.time()
    with coshelf.open(path) as shelf:
        expires = shelf.expires(key) if key in shelf else 0.0
    if row.then == "kept":
        return expires is None
    if row.then == "gone":
        return expires == 0.0
    assert row.seconds is not None
    assert row.seconds >= 60
    # Some frameworks round a time up to a second.
    return expires is not None and before + row.seconds <= expires <= after + row.seconds + 1
