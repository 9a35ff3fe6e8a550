"""A data set for PyTorch: read by a pool of workers, as by a ``DataLoader``, and by torch's own if it is installed."""

from __future__ import annotations

import importlib.util
import json
import operator
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fixtures import crew
from support import Crew

import coshelf
from coshelf.contrib.torch import ShelfDataset

__all__ = ["crew"]

MIB = 1 << 20


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        shelf.update({f"train/{number:03}": number for number in range(50)})
        shelf["other"] = "no sample"
    return tmp_path / "a.shelf"


def test_samples_are_the_entries_of_a_part_by_position(path: Path) -> None:
    dataset = ShelfDataset(path, "train")
    assert len(dataset) == 50
    assert [dataset[0], dataset[-1], dataset[np.int64(7)]] == [0, 49, 7]
    assert dataset.__getitems__([3, 1, 3, -2]) == [3, 1, 3, 48]
    for index in (50, -51):
        with pytest.raises(IndexError):
            dataset[index]
    with pytest.raises(TypeError):
        dataset[1:2]  # type: ignore[index]
    dataset.close()
    with pytest.raises(coshelf.ShelfClosed):
        dataset[0]


def test_keys_can_be_chosen_and_a_range_of_them_takes_no_memory(path: Path) -> None:
    chosen = ShelfDataset(path, "train", keys=(f"{number:03}" for number in (5, 2)))
    assert [*map(chosen.__getitem__, range(2))] == [5, 2]
    with coshelf.open("memory:") as shelf:
        shelf.update(enumerate("abc"))
        numbered = ShelfDataset(shelf, keys=range(3))
        assert numbered.__getitems__([2, 0]) == ["c", "a"]
        assert numbered.keys is not None
        assert isinstance(numbered.keys, range)


def test_positions_stay_though_entries_are_added_and_removed(path: Path) -> None:
    dataset = ShelfDataset(path, "train")
    assert len(dataset) == 50
    with coshelf.open(path) as shelf:
        shelf["train/0000"] = "before all others"
        del shelf["train/007"]
    assert dataset[0] == 0
    assert len(dataset) == 50
    with pytest.raises(KeyError, match="007"):
        dataset.__getitems__([1, 7])


@pytest.mark.parametrize("copy", [False, True])
def test_a_batch_is_of_one_instant(crew: Crew, path: Path, copy: bool) -> None:
    writer = crew.start(
        """
        with coshelf.open(path) as shelf:
            for turn in range(1_000_000):
                shelf.update({f"train/{number:03}": turn for number in range(50)})
                if turn == 3:
                    say("written")
        """,
        path,
    )
    writer.expect("written")
    dataset = ShelfDataset(path, "train", copy=copy)
    for _ in range(10):
        assert len(set(dataset.__getitems__(range(50)))) == 1
    writer.kill()


def test_large_arrays_come_in_place_or_as_copies(tmp_path: Path) -> None:
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        shelf["a"] = {"x": np.ones(MIB), "y": 1}
    for copy in (False, True):
        dataset = ShelfDataset(tmp_path / "a.shelf", copy=copy)
        (sample,) = dataset.__getitems__([0])
        assert sample["x"].flags.writeable == copy
        assert sample["x"].sum() == MIB
        dataset.close()


def test_a_data_set_makes_no_shelf_and_refuses_what_is_none(tmp_path: Path) -> None:
    with pytest.raises(coshelf.ShelfNotFound):
        len(ShelfDataset(tmp_path / "a.shelf"))
    assert os.listdir(tmp_path) == []
    (tmp_path / "notes.txt").write_text("some text of mine, and no shelf")
    with pytest.raises(coshelf.NotAShelf):
        len(ShelfDataset(tmp_path / "notes.txt"))


def test_a_pickled_data_set_has_the_same_samples(path: Path) -> None:
    dataset = ShelfDataset(path, "train", transform=str)
    again = pickle.loads(pickle.dumps(dataset))
    with coshelf.open(path) as shelf:
        shelf["train/"] = "new"
    assert again.keys == dataset.keys
    assert again[0] == "0"
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(ShelfDataset("memory:", flag="c"))


@pytest.mark.parametrize("method", ["fork", "spawn", pytest.param("forkserver", marks=pytest.mark.long)])
@pytest.mark.parametrize("loader", ["pool", *(["torch"] if importlib.util.find_spec("torch") else [])])
def test_workers_of_a_loader_read_all_samples_once(crew: Crew, path: Path, method: str, loader: str) -> None:
    with coshelf.open(path) as shelf:
        shelf["train/999"] = np.ones(MIB)
    worker = crew.start(Path(__file__).parent / "scripts" / "loading.py", path, method, loader, options=())
    found = json.loads(worker.hear())
    worker.finish()
    assert found["numbers"] == list(range(50))
    assert found["sums"] == [MIB]
    assert os.getpid() not in found["pids"]
    assert len(found["pids"]) == 2


def test_importing_it_does_not_import_torch() -> None:
    code = "import sys, coshelf.contrib.torch; print('torch' in sys.modules, 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
    assert operator.index(np.int64(3)) == 3
