"""Celery's unit tests of result backends over keys and values."""

from __future__ import annotations

from adapter_suite import Suite

_MODULE = "t/unit/backends/test_coshelf.py"
_OF_OTHERS = {
    "TestKeyValueStoreBackend": (
        # A backend that cannot count.
        *("test_on_chord_part_return", "test_chord_apply_fallback"),
        # How often time.sleep is called: this backend does not poll.
        "test_get_many__does_not_sleep_past_the_timeout",
        "test_get_many__ids_completing_on_the_deadline_is_not_a_timeout",
    ),
    # A dict in the place of the store; a backend that cannot store bytes.
    "TestCompression": (
        "test_stores_compressed_and_reads_back_older_results",
        "test_ignored_when_the_backend_cannot_store_bytes",
    ),
    # memcached's client, its URLs and its limit of 30 days.
    "TestCacheBackend": (
        *("test_memory_client_is_shared", "test_chord_uses_chord_expires", "test_warns_on_chord_expires_over_30_days"),
        *("test_as_uri_no_servers", "test_as_uri_one_server", "test_as_uri_multiple_servers"),
    ),
    # The files of a directory, and the messages about it.
    "TestFilesystemBackend": (
        *("test_a_path_in_url", "test_raises_meaningful_errors_for_invalid_urls", "test_localhost_is_removed_from_url"),
        *("test_mark_as_done_writes_file", "test_compressed_binary_serializer_result_round_trips"),
        *("test_forget_deletes_file", "test_cleanup"),
    ),
}

SUITE = Suite(
    name="celery",
    distribution="celery",
    label="its tests of backends over keys and values, of cache backends and of the one for files",
    unpacked=("t/",),
    overlay=("t/unit/backends/*.py",),
    tests=(_MODULE,),
    deselected=tuple(f"{_MODULE}::{cls}::{name}" for cls, names in _OF_OTHERS.items() for name in names),
    why="those that are about memcached's client, the files of a directory, calls of `time.sleep`, or a backend "
    "that cannot count or store bytes",
)
