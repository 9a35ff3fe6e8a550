"""What a call that computes commits: a claim, and then the result together with the removal of the claim."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import coshelf
from coshelf.contract import CLAIMS, Batch


@pytest.fixture(params=["lmdb", "sqlite", "files", "memory", "mapping"])
def shelf(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    path = tmp_path / "my.shelf"
    targets: dict[str, Any] = {"sqlite": f"sqlite:{path}", "files": f"files:{path}", "memory": "memory:", "mapping": {}}
    with coshelf.open(targets.get(request.param, path)) as opened:
        yield opened


def _claims(shelf: Any) -> list[bytes]:
    return [row for row, _ in shelf._handle.engine.scan(*CLAIMS)]


def test_the_result_replaces_the_claim_in_one_commit(shelf: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    @shelf.memoize
    def double(number: int) -> int:
        assert len(_claims(shelf)) == 1
        return 2 * number

    double(0)
    engine = shelf._handle.engine
    commit, batches = engine.commit, list[Batch]()

    def noting(batch: Batch) -> int | str:
        batches.append(batch)
        number: int | str = commit(batch)
        return number

    monkeypatch.setattr(engine, "commit", noting)
    assert double(21) == 42
    assert [(len(batch.puts), len(batch.deletes), len(batch.checks)) for batch in batches] == [(1, 0, 1), (1, 1, 1)]
    assert double(21) == 42
    assert len(batches) == 2
    assert not _claims(shelf)


def test_a_result_is_kept_though_another_process_has_taken_the_claim_over(shelf: Any) -> None:
    engine = shelf._handle.engine

    @shelf.memoize
    def double(number: int) -> int:
        (row,) = _claims(shelf)
        engine.commit(Batch(puts={row: b"\x80\x03B\x02\0\0\0{}."}))
        return 2 * number

    assert double(21) == 42
    assert shelf[double.cache_key(21)] == 42
    assert len(_claims(shelf)) == 1  # it is the other one's


def test_a_claim_that_was_renewed_meanwhile_goes_with_the_result(shelf: Any) -> None:
    @shelf.memoize
    def double(number: int) -> int:
        for claim in list(shelf._handle.claims._renewer._claims.values()):
            before = claim._version
            claim.renew()
            claim._version = before  # as if another thread had renewed it between two steps of this one
        return 2 * number

    assert double(21) == 42
    assert double(21) == 42
    assert not _claims(shelf)


def test_a_result_that_expires_at_once_leaves_no_claim(shelf: Any) -> None:
    if not shelf.capabilities.expiry:
        pytest.skip("entries of this engine do not expire")

    @shelf.memoize(expire=0)
    def double(number: int) -> int:
        return 2 * number

    assert double(21) == double(21) == 42
    assert not _claims(shelf)
    assert len(shelf) == 0
