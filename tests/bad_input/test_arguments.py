"""Arguments of coshelf.open that make no sense, and engines of third parties."""

from __future__ import annotations

import math
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

import coshelf

SCRIPTS = Path(__file__).parent / "scripts" / "arguments"


@pytest.mark.parametrize("flag", ["", "x", "rw", "R", "cn", None, 0, b"c", ["c"]])
def test_bad_flag_is_a_value_error_and_makes_nothing(flag: Any, tmp_path: Path) -> None:
    for target in (tmp_path / "my.shelf", "memory:", {}):
        with pytest.raises(ValueError, match="flag"):
            coshelf.open(target, flag)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("target", [None, 1, 2.5, [], (), set(), object(), open])
def test_bad_target_is_a_type_error(target: Any) -> None:
    with pytest.raises(TypeError, match=type(target).__name__):
        coshelf.open(target)


@pytest.mark.parametrize("protocol", [-2, 6, 100])
def test_protocol_out_of_range_is_a_value_error_and_makes_nothing(protocol: int, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"protocol {protocol}"):
        coshelf.open(tmp_path / "my.shelf", protocol=protocol)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("protocol", ["5", 2.5, [], object()])
def test_protocol_of_a_wrong_type_is_a_type_error_and_makes_nothing(protocol: Any, tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        coshelf.open(tmp_path / "my.shelf", protocol=protocol)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("timeout", [-1, -0.5, math.nan])
def test_timeout_that_is_no_duration_is_a_value_error_and_makes_nothing(timeout: float, tmp_path: Path) -> None:
    """-1 is "for ever" to a lock of threading, which nobody means who writes it."""
    for target in (tmp_path / "my.shelf", "memory:", {}):
        with pytest.raises(ValueError, match="timeout"):
            coshelf.open(target, timeout=timeout)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("timeout", ["5", [], object()])
def test_timeout_of_a_wrong_type_is_a_type_error(timeout: Any) -> None:
    with pytest.raises(TypeError):
        coshelf.open("memory:", timeout=timeout)


@pytest.mark.parametrize("timeout", [math.inf, 1e12])
def test_timeout_may_be_for_ever(timeout: float, tmp_path: Path) -> None:
    for target in (tmp_path / "my.shelf", "memory:"):
        with coshelf.open(target, timeout=timeout) as shelf:
            with shelf.transaction() as t:
                t["a"] = 1
            with shelf.transaction(timeout=timeout) as t:
                t["a"] = 2
            assert shelf["a"] == 2


@pytest.mark.parametrize("timeout", [-1, -0.5, math.nan])
def test_timeout_of_a_transaction_that_is_no_duration_is_a_value_error(timeout: float, tmp_path: Path) -> None:
    for target in (tmp_path / "my.shelf", "memory:"):
        with coshelf.open(target) as shelf:
            with pytest.raises(ValueError, match="timeout"), shelf.transaction(timeout=timeout) as t:
                t["a"] = 1
            assert not shelf


@pytest.mark.parametrize("mode", ["600", 0.5, object()])
def test_mode_of_a_wrong_type_is_a_type_error_and_leaves_nothing(mode: Any, tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        coshelf.open(tmp_path / "my.shelf", mode=mode)
    assert os.listdir(tmp_path) == []


# --- require ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("require", ["teleportation", ["snapshots", "no_such=1"], ["Snapshots"], [""], "="])
def test_unknown_capability_is_a_value_error_that_lists_them(require: Any) -> None:
    with pytest.raises(ValueError, match=r"snapshots.*watch"):
        coshelf.open("memory:", require=require)


@pytest.mark.parametrize("require", ["persistent", ["snapshots", "exclusive=processes"], ["largest_key"], "blobs"])
def test_missing_capability_is_unsupported_and_says_what_there_is(require: Any) -> None:
    with pytest.raises(coshelf.Unsupported, match="memory") as caught:
        coshelf.open("memory:", require=require)
    wanted = require if isinstance(require, str) else require[-1]
    assert wanted in str(caught.value)
    assert f"{wanted.partition('=')[0]}=" in str(caught.value)


def test_capabilities_that_are_there_are_accepted(tmp_path: Path) -> None:
    wanted = ["snapshots", "exclusive=processes", "acknowledged=machine", "ordered=True", "largest_key=None", "watch"]
    with coshelf.open(tmp_path / "my.shelf", require=wanted) as shelf:
        shelf["a"] = 1


@pytest.mark.parametrize("require", ["no_such", "largest_batch"])
def test_refusing_for_a_capability_closes_what_was_opened(require: str, tmp_path: Path) -> None:
    with coshelf.open(tmp_path / "my.shelf") as shelf:
        shelf["a"] = 1
    for flag in ("r", "w", "c", "n"):
        with pytest.raises((ValueError, coshelf.Unsupported)):
            coshelf.open(tmp_path / "my.shelf", flag, require=require)
        assert os.listdir(tmp_path) == ["my.shelf"]
    with coshelf.open(tmp_path / "my.shelf") as shelf:
        assert dict(shelf) == {"a": 1}


# --- schemes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["nosuch:place", "http://example.org/a.shelf", "lmdbx:a", "NoSuch:x"])
def test_unknown_scheme_lists_the_known_ones_and_the_way_out(
    target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    scheme = target.partition(":")[0].lower()
    with pytest.raises(coshelf.UnknownEngine, match=f"(?s)'{scheme}:'.*lmdb.*memory.*pathlib") as caught:
        coshelf.open(target)
    assert isinstance(caught.value, ValueError)
    assert os.listdir(tmp_path) == []


def test_path_that_looks_like_a_url_is_a_path_when_given_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for target in (Path("nosuch:place"), b"nosuch:bytes", "./nosuch:dot", "c:drive", str(tmp_path / "ab:c")):
        with coshelf.open(target) as shelf:
            shelf["a"] = 1
    assert sorted(os.listdir(tmp_path)) == ["ab:c", "c:drive", "nosuch:bytes", "nosuch:dot", "nosuch:place"]


@pytest.mark.parametrize("target", ["memory:name", "memory://", "memory:/x"])
def test_memory_has_no_names(target: str) -> None:
    with pytest.raises(coshelf.UnknownEngine, match="memory:"):
        coshelf.open(target)


def test_scheme_of_lmdb_is_that_file(tmp_path: Path) -> None:
    with coshelf.open(f"lmdb:{tmp_path}/my.shelf") as shelf:
        shelf["a"] = 1
    with coshelf.open(f"LMDB:{tmp_path}/my.shelf", "r") as shelf:
        assert dict(shelf) == {"a": 1}
    assert os.listdir(tmp_path) == ["my.shelf"]


# --- engines of third parties ----------------------------------------------------------------------------------------


@pytest.fixture
def distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of a third party, as pip leaves it on disk."""
    site = tmp_path / "site"
    information = site / "counting_shelf-1.0.dist-info"
    information.mkdir(parents=True)
    shutil.copy(SCRIPTS / "counting_shelf_engine.py", site)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: counting-shelf\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(
        "[coshelf.engines]\n"
        "counting = counting_shelf_engine:open_engine\n"
        "counting-driver = counting_shelf_engine:without_driver\n"
        "counting-gone = counting_shelf_no_such_module:open_engine\n"
        "memory = counting_shelf_engine:without_driver\n"
    )
    monkeypatch.syspath_prepend(site)
    return site


@pytest.mark.usefixtures("distribution")
def test_engine_of_a_third_party_is_found_by_its_scheme() -> None:
    with coshelf.open("counting:any/place", "n", timeout=7) as shelf:
        assert shelf.name == "counting:any/place"
        shelf.update(a=1, b=2)
        with shelf.transaction() as t:
            t["a"] += 1
        assert dict(shelf) == {"a": 2, "b": 2}
        engine: Any = shelf._handle.engine
        assert (engine.name, engine.options.flag, engine.options.timeout) == ("counting", "n", 7)


@pytest.mark.usefixtures("distribution")
def test_scheme_is_the_same_in_capitals() -> None:
    assert coshelf.open("COUNTING:x").name == "COUNTING:x"


@pytest.mark.usefixtures("distribution")
def test_built_in_engine_is_not_replaced_by_a_third_partys() -> None:
    with coshelf.open("memory:") as shelf:
        shelf["a"] = 1


@pytest.mark.usefixtures("distribution")
def test_unknown_scheme_lists_engines_of_third_parties() -> None:
    with pytest.raises(coshelf.UnknownEngine, match="counting"):
        coshelf.open("nosuch:x")


@pytest.mark.usefixtures("distribution")
def test_missing_extra_of_an_engine_reaches_the_caller() -> None:
    with pytest.raises(coshelf.MissingExtra, match="pip install"):
        coshelf.open("counting-driver:x")


@pytest.mark.usefixtures("distribution")
def test_engine_whose_module_is_broken_is_an_import_error() -> None:
    with pytest.raises(ImportError, match="counting_shelf_no_such_module"):
        coshelf.open("counting-gone:x")


# --- little address space --------------------------------------------------------------------------------------------

_LITTLE = SCRIPTS / "little_address_space.py"


@pytest.mark.parametrize("megabytes", [1400, 3000, 20_000])
def test_little_address_space_still_opens(megabytes: int, tmp_path: Path, python: Any) -> None:
    python(_LITTLE, tmp_path / "my.shelf", megabytes)
    with coshelf.open(tmp_path / "my.shelf") as shelf:
        assert len(shelf) == 1001


_NONE = SCRIPTS / "no_address_space.py"


def test_no_address_space_is_a_clear_error_and_loses_nothing(tmp_path: Path, python: Any) -> None:
    with coshelf.open(tmp_path / "my.shelf") as shelf:
        shelf["a"] = 1
    python(_NONE, tmp_path / "my.shelf")
    assert os.listdir(tmp_path) == ["my.shelf"]
    with coshelf.open(tmp_path / "my.shelf") as shelf:
        assert dict(shelf) == {"a": 1}
