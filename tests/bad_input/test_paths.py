"""Paths that lead to no file, or to something that is none."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest

import coshelf

SCRIPTS = Path(__file__).parent / "scripts" / "paths"

FLAGS = ["r", "w", "c", "n"]
each_flag = pytest.mark.parametrize("flag", FLAGS)


@each_flag
def test_directory_is_no_shelf(flag: str, tmp_path: Path, refused: Any, unchanged: Any) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "note").write_text("kept")
    with unchanged(tmp_path):
        refused(coshelf.NotAShelf, tmp_path / "folder", flag, "directory")


@each_flag
def test_fifo_is_no_shelf_and_nobody_waits_for_it(flag: str, tmp_path: Path, refused: Any, unchanged: Any) -> None:
    os.mkfifo(tmp_path / "fifo")
    with unchanged(tmp_path):
        refused(coshelf.NotAShelf, tmp_path / "fifo", flag, "not a regular file")


@each_flag
@pytest.mark.parametrize("device", ["/dev/null", "/dev/zero"])
def test_device_is_no_shelf(device: str, flag: str, refused: Any) -> None:
    refused(coshelf.NotAShelf, device, flag, "not a regular file")


@each_flag
def test_socket_is_no_shelf(flag: str, place: Path, refused: Any, unchanged: Any) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place / "socket"))
        with unchanged(place):
            refused(coshelf.NotAShelf, place / "socket", flag)


@pytest.mark.parametrize("flag", ["r", "w"])
def test_dangling_link_is_not_found(flag: str, tmp_path: Path, refused: Any, unchanged: Any) -> None:
    (tmp_path / "link").symlink_to("nowhere")
    with unchanged(tmp_path):
        refused(coshelf.ShelfNotFound, tmp_path / "link", flag, named=str(tmp_path / "nowhere"))


@pytest.mark.parametrize("flag", ["c", "n"])
def test_dangling_link_leads_to_the_shelf_that_is_made(flag: Any, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to("elsewhere/made")
    with coshelf.open(tmp_path / "link", flag) as shelf:
        shelf["a"] = 1
        assert {"made", ".made.coshelf"} == set(os.listdir(tmp_path / "elsewhere"))
    assert os.listdir(tmp_path / "elsewhere") == ["made"]
    assert (tmp_path / "link").is_symlink()


@each_flag
def test_link_to_a_missing_directory_is_not_found(flag: str, tmp_path: Path, refused: Any, unchanged: Any) -> None:
    (tmp_path / "link").symlink_to("missing/made")
    with unchanged(tmp_path):
        refused(coshelf.ShelfNotFound, tmp_path / "link", flag, named=str(tmp_path / "missing"))


@each_flag
def test_loop_of_links_is_a_clear_error(flag: str, tmp_path: Path, refused: Any, unchanged: Any) -> None:
    (tmp_path / "one").symlink_to("other")
    (tmp_path / "other").symlink_to("one")
    with unchanged(tmp_path):
        refused(coshelf.NotAShelf, tmp_path / "one", flag, "links")


@each_flag
def test_path_through_a_file_is_not_found(flag: str, tmp_path: Path, refused: Any, unchanged: Any) -> None:
    (tmp_path / "note").write_text("kept")
    with unchanged(tmp_path):
        error = refused(coshelf.CoshelfError, tmp_path / "note" / "my.shelf", flag)
        assert isinstance(error, (coshelf.ShelfNotFound, coshelf.NotAShelf))


@each_flag
def test_missing_directory_is_not_found_and_not_made(flag: str, tmp_path: Path, refused: Any, unchanged: Any) -> None:
    with unchanged(tmp_path):
        error = refused(coshelf.ShelfNotFound, tmp_path / "missing" / "my.shelf", flag, named=str(tmp_path / "missing"))
    assert isinstance(error, FileNotFoundError)


@pytest.mark.parametrize("flag", ["r", "w"])
def test_missing_file_is_not_found_and_not_made(flag: str, tmp_path: Path, refused: Any, unchanged: Any) -> None:
    with unchanged(tmp_path):
        error = refused(coshelf.ShelfNotFound, tmp_path / "my.shelf", flag, "flag")
    assert isinstance(error, FileNotFoundError)


@each_flag
@pytest.mark.parametrize("length", [256, 5000])
def test_name_that_is_too_long_is_a_clear_error(
    length: int, flag: str, tmp_path: Path, refused: Any, unchanged: Any
) -> None:
    with unchanged(tmp_path):
        refused(coshelf.CoshelfError, tmp_path / ("x" * length), flag, "too long")


def test_longest_name_that_can_be_made_works(tmp_path: Path, unchanged: Any) -> None:
    """Whatever the limit is: below it a shelf can be made and used, above it nothing is left behind."""
    made = 0
    for length in range(200, 256):
        path = tmp_path / ("x" * length)
        try:
            with coshelf.open(path) as shelf:
                shelf["a"] = 1
            made = length
        except coshelf.CoshelfError as error:
            assert "too long" in str(error)  # noqa: PT017 (it may also work)
            assert not path.exists()
    assert made >= 230
    assert all(len(name) <= made for name in os.listdir(tmp_path))


@each_flag
@pytest.mark.parametrize("kind", [str, os.fsencode, Path])
def test_nul_in_the_name_is_a_clear_error(kind: Any, flag: str, tmp_path: Path, refused: Any, unchanged: Any) -> None:
    with unchanged(tmp_path):
        refused(coshelf.NotAShelf, kind(f"{tmp_path}/a\0b"), flag, named="\\x00b")


@each_flag
def test_empty_path_is_a_clear_error(flag: str) -> None:
    for target in ("", b"", "lmdb:"):
        with pytest.raises(coshelf.NotAShelf, match="cannot be the path"):
            coshelf.open(target, flag)  # type: ignore[arg-type]


@pytest.mark.parametrize("sidecar", ["base-lock", "state", "delta", "delta-lock"])
@pytest.mark.parametrize("flag", ["r", "w", "c"])
def test_directory_in_the_place_of_a_sidecar_is_a_clear_error(
    sidecar: str, flag: str, tmp_path: Path, unchanged: Any
) -> None:
    path = tmp_path / "my.shelf"
    with coshelf.open(path) as shelf:
        shelf["a"] = 1
    (tmp_path / ".my.shelf.coshelf" / sidecar).mkdir(parents=True)
    with unchanged(tmp_path), pytest.raises(coshelf.CoshelfError, match=r"my\.shelf"):
        coshelf.open(path, flag)  # type: ignore[arg-type]
    (tmp_path / ".my.shelf.coshelf" / sidecar).rmdir()
    with coshelf.open(path, "r") as shelf:
        assert dict(shelf) == {"a": 1}


def test_no_descriptors_left_is_no_statement_about_the_file(tmp_path: Path, python: Any) -> None:
    code = SCRIPTS / "no_descriptors.py"
    python(code, tmp_path / "my.shelf")
    assert os.listdir(tmp_path) == ["my.shelf"]
