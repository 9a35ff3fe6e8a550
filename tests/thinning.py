"""What `make test` leaves to `make test-long`: repetitions of a claim by which it seldom finds more.

A test that runs on several engines, or over several event loops, keeps those that can fail for reasons of their own.
The rules are applied to all tests, so that a new test is thinned without a mark. They are:

- A class with the mark ``variant`` tests an engine that another class tests with other settings. It leaves out the
  slow claims of the contract.
- ``mapping`` has the locks, turns, changes and snapshots of ``memory``. Beside a parameter ``memory`` it is left out.
- trio differs from asyncio in the loop and not in the engine. Under trio a test runs on lmdb only.
- Some tests of several processes take seconds, and what they test is above the engines. They run on lmdb only.
"""

from __future__ import annotations

from typing import Any

import pytest

__all__ = ["is_repetition"]

SLOW_CLAIMS = {
    "test_batch_of_thousands_is_one_commit",
    "test_checked_commits_from_many_threads_lose_no_update",
    "test_closed_scans_hold_nothing",
    "test_collected_scans_hold_nothing",
    "test_commits_of_another_process_are_told",
    "test_commits_of_many_threads_are_told_once_each",
    "test_count_counts_the_entries_from_start_to_before_stop",
    "test_exhausted_scans_hold_nothing",
    "test_long_keys_are_told_apart_and_kept_in_order",
    "test_long_keys_go_one_by_one_and_leave_nothing",
    "test_place_that_is_collected_leaves_the_line",
    "test_random_batches_do_what_they_do_to_a_dict",
    "test_ranges_begin_and_end_at_long_keys",
    "test_reader_never_sees_half_a_batch",
    "test_reverse_scan_is_the_scan_backwards",
    "test_scan_costs_what_is_taken_from_it",
    "test_scan_is_in_key_order_whatever_the_order_of_puts",
    "test_scan_is_of_one_instant",
    "test_scan_of_thousands_misses_none",
    "test_slow_reader_misses_nothing",
    "test_tokens_only_grow_over_all_lines",
    "test_values_of_some_megabytes_come_back_whole",
}
"""The claims of the contract that take most of its time."""
MEMORY_IS_ENOUGH = {"target", "engine", "empty", "any_shelf"}
"""Parameters that have ``memory`` where they have ``mapping``."""
ABOVE_THE_ENGINES = {
    "test_threads_of_four_processes_compute_once",
    "test_no_result_is_computed_twice_in_a_race",
    "test_no_item_is_lost_or_doubled_when_processes_are_killed",
}


def is_repetition(test: pytest.Item) -> bool:
    """Whether the test is part of `make test-long` only."""
    if not isinstance(test, pytest.Function):
        return False
    if test.get_closest_marker("variant") and test.originalname in SLOW_CLAIMS:
        return True
    parameters: dict[str, Any] = test.callspec.params if hasattr(test, "callspec") else {}
    return (
        any(parameters.get(name) == "mapping" for name in MEMORY_IS_ENOUGH)
        or (parameters.get("anyio_backend") == "trio" and parameters.get("target", "lmdb") != "lmdb")
        or (test.originalname in ABOVE_THE_ENGINES and parameters.get("url", "lmdb") != "lmdb")
    )
