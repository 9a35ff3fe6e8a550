"""A store of joblib's ``Memory`` in a shelf. joblib's own tests of ``Memory`` are in tests/suites/adapters/joblib."""

from __future__ import annotations

import pickle
import time
import warnings
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from fixtures import crew
from joblib._store_backends import CacheWarning
from support import Crew

import coshelf
from coshelf.contrib import joblib as adapter
from coshelf.contrib.joblib import CoshelfStoreBackend

__all__ = ["crew"]

MIB = 1 << 20


@pytest.fixture(autouse=True)
def closed() -> Iterator[list[joblib.Memory]]:
    """Memories to be closed at the end of the test."""
    made: list[joblib.Memory] = []
    yield made
    for memory in made:
        memory.store_backend.close()


@pytest.fixture
def memory(tmp_path: Path, closed: list[joblib.Memory]) -> joblib.Memory:
    closed.append(joblib.Memory(str(tmp_path / "a.shelf"), backend="coshelf", verbose=0))
    return closed[0]


def square(number: int) -> int:
    CALLS.append(number)
    return number * number


CALLS: list[int] = []


@pytest.fixture(autouse=True)
def no_calls() -> None:
    CALLS.clear()
    joblib.memory._FUNCTION_HASHES.clear()


def test_a_result_is_computed_once_and_kept(memory: joblib.Memory, tmp_path: Path) -> None:
    cached = memory.cache(square)
    assert [cached(3), cached(3), cached(4)] == [9, 9, 16]
    assert CALLS == [3, 4]
    memory.store_backend.close()
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        results = list(shelf.sub("joblib").values(prefix=("result",)))
    assert sorted(results) == [9, 16]


def test_a_result_is_one_commit(memory: joblib.Memory) -> None:
    watch = memory.store_backend._shelf.watch()
    memory.store_backend.dump_item(["f", "1"], 5)
    assert [watch.next(60).is_last for _ in range(2)] == [False, True]
    memory.cache(square)(2)
    memory.cache(square).clear(warn=False)
    memory.clear(warn=False)
    assert len(memory.store_backend._shelf) == 0


def test_memories_and_functions_are_pickled_by_where_they_are(memory: joblib.Memory) -> None:
    cached = memory.cache(square)
    shelved = cached.call_and_shelve(3)
    for each in (cached, memory.cache(square)):
        again = pickle.loads(pickle.dumps(each))
        assert again(3) == 9
        again.store_backend.close()
    again = pickle.loads(pickle.dumps(shelved))
    assert again.get() == 9
    again.clear()
    again.store_backend.close()
    assert not cached.check_call_in_cache(3)
    assert CALLS == [3]


def test_code_of_a_function_that_changes_clears_its_results_alone(memory: joblib.Memory) -> None:
    backend = memory.store_backend
    memory.cache(square)(2)
    backend.dump_item(["other", "1"], 1)
    (function,) = {key[1] for key in backend._shelf.keys(prefix=("code",))}
    backend.store_cached_func_code([function], "# first line: 1\ndef square(number): ...\n")
    joblib.memory._FUNCTION_HASHES.clear()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", joblib.memory.JobLibCollisionWarning)
        assert memory.cache(square)(3) == 9
    assert len(backend.get_items()) == 2
    assert backend.contains_path([function])
    assert not backend.contains_path(["third"])
    assert backend.load_item(["other", "1"], verbose=0) == 1


def test_what_is_missing_raises_what_joblib_expects(memory: joblib.Memory) -> None:
    backend = memory.store_backend
    with pytest.raises(KeyError, match="no result of f/1"):
        backend.load_item(["f", "1"], verbose=0)
    with pytest.raises(OSError, match="the code of f is not stored"):
        backend.get_cached_func_code(["f"])
    assert backend.get_metadata(["f", "1"]) == {}
    backend.clear_item(["f", "1"])
    with pytest.raises(coshelf.Unsupported, match="no files"):
        backend._open_item("f", "rb")


# --- arrays ----------------------------------------------------------------------------------------------------------


def twos(count: int) -> Any:
    return np.full(count, 2.0)


def test_arrays_are_the_callers_own_unless_they_are_mapped(tmp_path: Path, closed: list[joblib.Memory]) -> None:
    for mode, is_own in ((None, True), ("c", True), ("r", False)):
        memory = joblib.Memory(str(tmp_path / "a.shelf"), backend="coshelf", verbose=0, mmap_mode=mode)
        closed.append(memory)
        for _ in range(2):
            array = memory.cache(twos)(MIB)
            assert array.sum() == 2.0 * MIB
            if array.flags.writeable:
                array[0] = 5
        assert array.flags.writeable == is_own
    assert memory.cache(twos)(MIB)[0] == 2.0


@pytest.mark.parametrize("mode", ["r+", "w+"])
def test_a_mode_that_would_change_results_is_refused(tmp_path: Path, mode: str) -> None:
    with pytest.raises(ValueError, match="would change results that are stored"):
        joblib.Memory(str(tmp_path / "a.shelf"), backend="coshelf", mmap_mode=mode)


@pytest.mark.parametrize("compress", [True, 5, ("zlib", 3)])
def test_results_can_be_compressed_in_a_shelf_that_has_others(
    memory: joblib.Memory, closed: list[joblib.Memory], tmp_path: Path, compress: Any
) -> None:
    memory.store_backend.dump_item(["f", "1"], "a" * 1000)
    memory.store_backend.close()
    small = joblib.Memory(str(tmp_path / "a.shelf"), backend="coshelf", verbose=0, compress=compress)
    closed.append(small)
    small.store_backend.dump_item(["f", "2"], "a" * 1000)
    sizes = {item.path.rpartition("/")[2]: item.size for item in small.store_backend.get_items()}
    assert sizes["2"] < 100 < sizes["1"]
    assert small.store_backend.load_item(["f", "1"], verbose=0) == "a" * 1000


# --- limits ----------------------------------------------------------------------------------------------------------


def test_what_was_not_used_for_the_longest_time_goes_first(
    memory: joblib.Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = memory.store_backend
    now = [time.time()]
    monkeypatch.setattr(adapter.time, "time", lambda: now[0])
    for number in range(4):
        backend.dump_item(["f", str(number)], number)
        now[0] += 1
    now[0] += 100
    backend.load_item(["f", "0"], verbose=0)
    memory.reduce_size(items_limit=2)
    assert sorted(item.path.rpartition("/")[2] for item in backend.get_items()) == ["0", "3"]
    now[0] += 5
    backend.load_item(["f", "3"], verbose=0)
    used = {item.path.rpartition("/")[2]: item.last_access.timestamp() for item in backend.get_items()}
    assert used["3"] == pytest.approx(now[0])
    before = backend._shelf.version
    now[0] += 5
    backend.load_item(["f", "3"], verbose=0)
    assert backend._shelf.version == before, "a use is not noted twice within a minute"
    monkeypatch.undo()
    memory.reduce_size(age_limit=timedelta(days=1))
    assert len(backend.get_items()) == 2
    memory.reduce_size(bytes_limit="1K")
    assert len(backend.get_items()) == 2
    memory.reduce_size(bytes_limit=0)
    assert backend.get_items() == []


def test_limits_of_the_shelf_are_options_of_the_backend(tmp_path: Path, closed: list[joblib.Memory]) -> None:
    memory = joblib.Memory(
        tmp_path / "a.shelf", backend="coshelf", verbose=0, backend_options={"max_bytes": "1 MB", "part": "mine"}
    )
    closed.append(memory)
    memory.cache(square)(2)
    assert memory.store_backend._part.whole.info().max_bytes == 1_000_000
    assert memory.store_backend._part.name == "mine"


def test_an_option_that_nobody_knows_is_named(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="'max_byte', which coshelf.open does not know"):
        joblib.Memory(tmp_path / "a.shelf", backend="coshelf", backend_options={"max_byte": 3})


# --- where -----------------------------------------------------------------------------------------------------------


def test_a_directory_gets_a_shelf_and_keeps_what_it_has(tmp_path: Path, closed: list[joblib.Memory]) -> None:
    (tmp_path / "joblib").mkdir()
    (tmp_path / "joblib" / "old").write_text("results in files")
    memory = joblib.Memory(str(tmp_path), backend="coshelf", verbose=0)
    closed.append(memory)
    assert memory.cache(square)(2) == 4
    assert (tmp_path / "joblib.shelf").is_file()
    assert (tmp_path / "joblib" / "old").read_text() == "results in files"
    assert (tmp_path / ".gitignore").read_text().endswith("*\n")


def test_folders_above_a_shelf_are_made_but_not_to_read_one(tmp_path: Path, closed: list[joblib.Memory]) -> None:
    memory = joblib.Memory(str(tmp_path / "a" / "b.shelf"), backend="coshelf", verbose=0)
    closed.append(memory)
    assert memory.cache(square)(2) == 4
    reader = joblib.Memory(str(tmp_path / "c" / "d"), backend="coshelf", verbose=0, backend_options={"flag": "r"})
    with pytest.raises(coshelf.ShelfNotFound):
        reader.cache(square)(2)
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize("url", ["memory:", "sqlite:{}/a.sqlite"])
def test_results_are_kept_on_other_engines(url: str, tmp_path: Path, closed: list[joblib.Memory]) -> None:
    memory = joblib.Memory(url.format(tmp_path), backend="coshelf", verbose=0)
    closed.append(memory)
    cached = memory.cache(square)
    assert [cached(2), cached(2), len(CALLS)] == [4, 4, 1]
    memory.reduce_size(items_limit=0)
    assert cached(2) == 4
    assert len(CALLS) == 2


def test_a_shelf_of_the_program_can_be_the_store() -> None:
    with coshelf.open("memory:") as shelf:
        memory = joblib.Memory(CoshelfStoreBackend(shelf, "cache"), verbose=0)
        assert memory.cache(square)(2) == 4
        assert len(shelf.sub("cache")) == len(shelf) > 0


def test_what_is_not_a_shelf_is_refused_and_unchanged(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("some text of mine, and no shelf")
    memory = joblib.Memory(str(tmp_path / "notes.txt"), backend="coshelf", verbose=0)
    with pytest.raises(coshelf.NotAShelf):
        memory.cache(square)(2)
    assert (tmp_path / "notes.txt").read_text() == "some text of mine, and no shelf"


# --- failures --------------------------------------------------------------------------------------------------------


class Refusing:
    def __init__(self, error: Exception) -> None:
        self.error = error

    def __reduce__(self) -> Any:
        raise self.error


@pytest.mark.parametrize(
    ("error", "category"),
    [(RuntimeError("some exception"), CacheWarning), (pickle.PicklingError("not picklable"), FutureWarning)],
)
def test_a_result_that_cannot_be_stored_is_a_warning_and_leaves_the_old_one(
    memory: joblib.Memory, error: Exception, category: type[Warning]
) -> None:
    memory.store_backend.dump_item(["f", "1"], "old")
    with pytest.warns(category, match=str(error)):
        memory.store_backend.dump_item(["f", "1"], Refusing(error))
    assert memory.store_backend.load_item(["f", "1"], verbose=0) == "old"


def test_an_unreadable_result_is_computed_again(memory: joblib.Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    cached = memory.cache(square)
    cached(2)
    backend = memory.store_backend
    (key,) = backend._shelf.keys(prefix=("result",))
    backend._shelf[key] = backend._shelf["call", *key[1:]] = Passing()
    monkeypatch.delattr(f"{__name__}.Passing")
    told: list[str] = []
    monkeypatch.setattr(cached, "warn", told.append)
    assert cached(2) == 4
    assert len(told) == 1
    assert len(CALLS) == 2


class Passing:
    pass


def test_messages_say_what_is_loaded(memory: joblib.Memory, capsys: pytest.CaptureFixture[str]) -> None:
    memory.store_backend.dump_item(["module/f", "1"], 5, verbose=11)
    memory.store_backend.load_item(
        ["module/f", "1"], verbose=2, timestamp=time.time(), metadata={"input_args": {"a": "1"}}
    )
    memory.store_backend.load_item(["module/f", "1"], verbose=10)
    persisting, loading, where = capsys.readouterr().out.splitlines()
    assert persisting.startswith("Persisting in ")
    assert loading.endswith("Loading f(a=1)...")
    assert where.endswith("module/f/1")


# --- processes -------------------------------------------------------------------------------------------------------

WORKER = """
import joblib
import coshelf.contrib.joblib
memory = joblib.Memory(path, backend="coshelf", verbose=0)

@memory.cache
def digits(number):
    return str(number) * 1000

for number in range(int(sys.argv[2]), 1_000_000, 2):
    digits(number)
    if number > 60:
        say("computed")
        hear()
"""


def test_processes_share_results_and_a_kill_loses_none_that_was_stored(crew: Crew, tmp_path: Path) -> None:
    workers = [crew.start(WORKER, tmp_path / "a.shelf", number) for number in range(2)]
    for worker in workers:
        worker.expect("computed")
    for worker in workers:
        worker.kill()
    backend = CoshelfStoreBackend(tmp_path / "a.shelf")
    values = sorted(backend._shelf.values(prefix=("result",)), key=lambda text: (len(text), text))
    assert values == [str(number) * 1000 for number in range(len(values))]
    assert len(values) >= 60
    backend.close()


@pytest.mark.long  # test_parts.py has the short form
def test_a_forked_child_uses_the_memory_of_its_parent(crew: Crew, tmp_path: Path) -> None:
    worker = crew.start(
        """
        import joblib
        import coshelf.contrib.joblib
        memory = joblib.Memory(path, backend="coshelf", verbose=0)
        cached = memory.cache(str)
        cached(1)
        pid = os.fork()
        if pid == 0:
            assert cached.check_call_in_cache(1)
            cached(2)
            os._exit(0)
        assert reap(pid) == 0
        say(cached.check_call_in_cache(2))
        """,
        tmp_path / "a.shelf",
    )
    assert worker.hear() == "True"
    worker.finish()
