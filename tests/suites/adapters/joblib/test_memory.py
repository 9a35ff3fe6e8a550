"""joblib's tests of ``Memory``, from its wheel. The conftest gives them our store."""

from __future__ import annotations

from joblib.test.test_memory import *  # noqa: F403

# `--deselect` goes by the beginning of a name, and test__get_items_to_delete is wanted.
globals()["test__get_items_of_files"] = globals().pop("test__get_items")
