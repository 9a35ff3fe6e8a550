"""Bulk calls that delete."""

from __future__ import annotations

import coshelf
from coshelf.contrib.deleting import delete_many


def test_keys_are_deleted_in_one_commit() -> None:
    with coshelf.open("memory:") as shelf:
        shelf.update({"a": 1, "b": 2, "c": 3})
        before = shelf.version
        with shelf.watch(since=before, timeout=0) as watch:
            assert delete_many(shelf, ["b", "none", "a", "b"]) == ["b", "a"]
            assert [(change.key, change.kind, change.is_last) for change in watch] == [
                ("a", "deleted", False),
                ("b", "deleted", True),
            ]
        assert delete_many(shelf, []) == []
        assert dict(shelf) == {"c": 3}
