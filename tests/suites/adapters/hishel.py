"""The suite of hishel: its clients, and what its storages' tests ask of any storage."""

from adapter_suite import Suite

_STORAGES = ("tests/_core/_sync/test_sqlite_storage.py", "tests/_core/_async/test_sqlite_storage.py")
_OF_SQLITE = (
    "ttl_hides_then_next_write_deletes", "frequent_reads_do_not_write",
    "remove_hides_immediately_and_is_deleted_after_grace",
    "remove_racing_with_lookup_touch_stays_removed", "lru_evicts_least_recently_used_and_stops_when_it_fits",
    "database_stays_near_limit_over_many_writes", "cache_full_of_recently_used_entries_stops_storing_but_serves",
    "reader_raises_when_entry_deleted_mid_read", "stalled_reader_past_grace_raises_instead_of_truncating",
    "crashed_writer_is_removed_after_grace", "too_big_response_is_not_cached_but_fully_delivered[kwargs1]",
    "storage_failure_mid_stream_does_not_fail_consumer", "create_entry_failure_serves_uncached",
    "corrupt_row_does_not_break_lookup_or_cleanup", "closed_storage_raises_and_does_not_reopen",
    "old_database_is_refused_and_left_untouched", "default_path_leaves_a_1x_cache_alone",
    "connection_with_tables_of_its_own_is_left_untouched", "connection_keeps_its_user_version",
    "switch_to_wal_retries_while_locked", "switch_to_wal_gives_up_and_tries_again_on_the_next_use",
    "switch_to_wal_only_retries_locks", "database_failures_do_not_fail_the_caller", "queries_use_indexes",
    "cost_with_100k_entries", "entries_get_their_id_and_key_from_the_row_not_the_blob",
    "eviction_between_select_and_touch_is_a_miss_not_an_error", "only_the_evicted_entry_is_skipped",
    "removal_between_select_and_touch_is_a_miss", "failed_touch_still_serves_the_entry",
    "try_write_reports_rows_changed_or_failure",
)  # fmt: skip
_CLIENTS = ("tests/test_sync_httpx.py", "tests/test_async_httpx.py")
_OF_SERVERS = (
    "client_with_default_sqlite_storage_in_a_file", "rfc_mode_does_not_use_the_key_left_in_redis_by_1x",
    "cache_outage_still_reaches_the_server[False]", "cache_outage_still_reaches_the_server[True]",
    "unsafe_request_still_succeeds_when_the_database_is_locked",
)  # fmt: skip

SUITE = Suite(
    name="hishel",
    distribution="hishel",
    label="its tests of httpx, requests, ASGI and storages, on lmdb and SQLite",
    unpacked=("tests/",),
    overlay=("anysqlite.py", "time_machine.py", "fakeredis/*.py", "tests/conftest.py"),
    tests=(*_STORAGES, *_CLIENTS, "tests/test_requests.py", "tests/test_asgi.py"),
    deselected=(
        *(f"{module}::test_{name}" for module in _STORAGES for name in _OF_SQLITE),
        *(f"{module}::test_{name}" for module in _CLIENTS for name in _OF_SERVERS),
    ),
    why=(
        "they look into the tables and connections of SQLite and Redis, limit the size of a database, or count the "
        "rows that a crashed writer leaves"
    ),
)
