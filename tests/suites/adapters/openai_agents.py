"""The OpenAI Agents SDK's tests of its asynchronous session, with ours in its place."""

from __future__ import annotations

from adapter_suite import Suite

_FILE = "tests/extensions/memory/test_async_sqlite_session.py"
_NAMES = (
    "basic_flow",
    "pop_item",
    "get_items_limit",
    "session_settings_default",
    "session_settings_constructor",
    "get_items_uses_session_settings_limit",
    "explicit_limit_overrides_session_settings",
    "unicode_content",
    "runner_integration",
    "session_isolation",
    "add_empty_items_list",
    "pop_from_empty_session",
    "get_items_with_limit_more_than_available",
    "close_is_idempotent",
)

SUITE = Suite(
    name="llm",
    distribution="openai-agents",
    label="the OpenAI Agents SDK: the tests of its asynchronous session that are not about SQLite",
    unpacked=("tests/",),
    overlay=("tests/extensions/memory/conftest.py",),
    tests=tuple(f"{_FILE}::test_async_sqlite_session_{name}" for name in _NAMES),
    deselected=(f"{_FILE}::test_async_sqlite_session_close_is_idempotent",),
    why="it demands the text of the SDK's own error; tests of SQLite's connections and rows are not listed",
)
