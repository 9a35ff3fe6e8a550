"""The tests of LangGraph's in-memory saver and store, with ours in their places."""

from __future__ import annotations

from adapter_suite import Suite

SUITE = Suite(
    name="langgraph",
    distribution="langgraph-checkpoint",
    label="the tests of its own in-memory saver and store",
    unpacked=("tests/",),
    overlay=("tests/conftest.py",),
    tests=("tests/test_store.py", "tests/test_memory.py"),
    options=("-o", "asyncio_mode=auto"),
    deselected=(
        "tests/test_store.py::test_vector_store_initialization",
        "tests/test_memory.py::TestInMemorySaverDeltaChannel::test_load_blobs_omits_delta_channel",
        "tests/test_memory.py::TestInMemorySaverDeltaChannel::test_get_channel_writes_collects_ancestor_writes_only",
        "tests/test_memory.py::TestInMemorySaverDeltaChannel::test_get_channel_writes_at_root_returns_empty",
        "tests/test_memory.py::TestBaseFallbackGetChannelWrites",
        "tests/test_memory.py::TestPreDeltaBlobTerminator",
    ),
    why="they fill and look into attributes of LangGraph's own classes: `storage`, `blobs`, `index_config`",
)
