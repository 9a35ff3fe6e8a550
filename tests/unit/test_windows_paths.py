"""Paths of Windows, as far as they can be told without it: names, shares, URIs for SQLite, and what is no URL."""

from __future__ import annotations

import errno
import ntpath
import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

import coshelf
from coshelf import engines
from coshelf.engines.sqlite.addresses import uri_of
from coshelf.engines.urls import has_credentials, without_secrets
from coshelf.system.file_systems import kinds as filesystem
from coshelf.system.files import flags, links, names, paths, windows_names
from coshelf.system.files.paths import is_one_name, names_directory
from coshelf.system.files.windows_names import share_of, trouble_with

PATHS = (
    *(r"C:\x.shelf", "c:x.shelf", "C:/data/x.shelf", r"\\server\share\x.shelf", r"\\?\C:\x.shelf", "x.shelf"),
    *(r"C:\Users\Ann\AppData\Local\Temp\x.shelf", r"..\x.shelf", r".\.hidden", r"C:\dots.in.name\x", "constant.shelf"),
)


@pytest.mark.parametrize("path", PATHS)
def test_ordinary_path_of_windows_is_a_path(path: str) -> None:
    assert trouble_with(path) is None
    assert not has_credentials(path)
    assert without_secrets(path) == path
    engines.refuse_credentials(path)
    engines.refuse_credentials(f"sqlite:{path}")


@pytest.mark.parametrize("path", [r"C:\Users\ann@example.org\x.shelf", "D:/a:b@c/x", r"\\server@SSL\share\x.shelf"])
def test_an_at_sign_in_a_path_of_windows_is_no_password(path: str) -> None:
    engines.refuse_credentials(path)
    engines.refuse_credentials(f"sqlite:{path}")


@pytest.mark.parametrize("target", ["//ann:secret@host/0", "sqlite://ann:secret@host/0", "sqlite:ann:secret@host"])
def test_what_may_have_a_password_is_refused_still(target: str) -> None:
    with pytest.raises(coshelf.UnknownEngine) as refused:
        engines.refuse_credentials(target)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        (r"C:\data\CON", "device"),
        ("nul", "device"),
        (r"C:\nul.shelf", "device"),
        (r"C:\com1.x\y", "device"),
        ("LPT¹.txt", "device"),
        (r"C:\aux .db", "device"),
        (r"C:\x.shelf.", "dot or a space"),
        (r"C:\x.shelf ", "dot or a space"),
        (r"C:\x. \y.shelf", "dot or a space"),
        (r"C:\x.shelf:stream", "stream"),
        (r"\\server\share\x:y", "stream"),
        (r"C:\what?.shelf", "character"),
        ("C:/a|b", "character"),
        ("a\tb", "character"),
    ],
)
def test_name_that_windows_reads_differently_is_told(path: str, reason: str) -> None:
    found = trouble_with(path)
    assert found is not None
    assert reason in found


@pytest.mark.parametrize(
    ("path", "share"),
    [
        (r"\\server\share\x", r"\\server\share"),
        ("//server/share/x", r"\\server\share"),
        (r"\\?\UNC\server\share\x", r"\\server\share"),
        (r"\\wsl.localhost\Debian\home\x", r"\\wsl.localhost\Debian"),
        (r"C:\x", None),
        (r"\\?\C:\x", None),
        (r"\\.\C:\x", None),
        ("x", None),
    ],
)
def test_share_is_told_from_a_drive(path: str, share: str | None) -> None:
    assert share_of(path) == share


def test_shelf_on_a_share_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows_names, "follows_rules", True)
    monkeypatch.setattr(os.path, "realpath", str)  # that of Windows leaves a share as it is
    with pytest.raises(coshelf.UnsafeFilesystem, match="on a file server"):
        filesystem.refuse_shared_filesystem(r"\\server\share\x.shelf")


@pytest.mark.parametrize("name", ["nul.db", "a.db ", "a:b.db"])
def test_name_that_leads_elsewhere_on_windows_is_refused_there(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows_names, "follows_rules", True)
    with pytest.raises(coshelf.NotAShelf, match="cannot be the path of a shelf"):
        coshelf.open(f"sqlite:{tmp_path / name}")
    assert list(tmp_path.iterdir()) == []


def test_both_separators_end_the_path_of_a_directory_on_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not names_directory("values\\")
    monkeypatch.setattr(paths, "os", _Os(ntpath.sep, ntpath.altsep))
    assert names_directory("values\\")
    assert names_directory("values/")
    assert not names_directory("values")


class _Os:
    def __init__(self, sep: str, altsep: str) -> None:
        self.sep, self.altsep = sep, altsep


@pytest.mark.parametrize(
    "name", ["plain.db", "a#b.db", "a?b=c.db", "100%25.db", "a&b c.db", "\\\\server\\x.db", "ü.db"]
)
def test_sqlite_opens_the_very_path(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version = 7")
        database.execute("CREATE TABLE one (a)")
        database.commit()
    with closing(sqlite3.connect(uri_of(str(path), "rw"), uri=True)) as database:
        assert database.execute("PRAGMA user_version").fetchall() == [(7,)]
    with closing(sqlite3.connect(uri_of(str(path), "ro"), uri=True)) as database, pytest.raises(sqlite3.Error):
        database.execute("INSERT INTO one VALUES (1)")
    assert [each.name for each in tmp_path.iterdir()] == [name]


def test_uri_of_a_share_names_no_host() -> None:
    assert uri_of(r"\\server\share\x.db", "rw") == "file:%5C%5Cserver%5Cshare%5Cx.db?mode=rw"
    assert uri_of("//server/share/x.db", "rw") == "file:%2F%2Fserver%2Fshare%2Fx.db?mode=rw"


# --- names that fold -------------------------------------------------------------------------------------------------


def test_one_name_in_two_cases_is_one_name_only_for_a_file_with_one_name(tmp_path: Path) -> None:
    (tmp_path / "x.shelf").touch()
    lower, upper = str(tmp_path / "x.shelf"), str(tmp_path / "X.shelf")
    assert is_one_name(upper, lower), "as where names fold: the file has one name, and was found by both"
    os.link(lower, upper)
    assert not is_one_name(upper, lower), "two hard links"
    assert not is_one_name(lower, str(tmp_path / "y.shelf"))


def test_one_name_in_two_forms_of_unicode_is_one_name(tmp_path: Path) -> None:
    composed, decomposed = (
        str(tmp_path / "caf\N{LATIN SMALL LETTER E WITH ACUTE}"),
        str(tmp_path / "cafe\N{COMBINING ACUTE ACCENT}"),
    )
    Path(composed).touch()
    assert is_one_name(decomposed, composed)


# --- files that cannot be replaced while they are open ---------------------------------------------------------------


def test_refusal_of_a_moment_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refusals = [True, True]

    def replace(source: str, target: str) -> None:
        if refusals:
            refusals.pop()
            raise PermissionError(13, "another program has it open", target)
        os.rename(source, target)

    monkeypatch.setattr(names, "keeps_open_files", True)
    monkeypatch.setattr(names.os, "replace", replace)
    (tmp_path / "a").write_text("new")
    names.replace(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_text() == "new"
    assert not refusals


def test_refusal_that_stays_is_raised_at_once_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def replace(source: str, target: str) -> None:
        calls.append(source)
        raise PermissionError(13, "not allowed", target)

    monkeypatch.setattr(names.os, "replace", replace)
    with pytest.raises(PermissionError):
        names.replace(tmp_path / "a", tmp_path / "b")
    assert len(calls) == 1


@pytest.mark.parametrize("to", ["somewhere", "nowhere"])
def test_link_is_not_followed_where_no_flag_refuses_it(
    to: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "somewhere").write_text("another file")
    (tmp_path / "link").symlink_to(tmp_path / to)
    monkeypatch.setattr(flags, "NO_FOLLOW", 0)
    monkeypatch.setattr(flags, "ASIDE", flags.CLOSE_ON_EXEC | flags.NO_WAIT)
    with pytest.raises(OSError, match="symbolic links"):
        links.open_itself(str(tmp_path / "link"), os.O_RDWR | os.O_CREAT)
    assert not (tmp_path / "nowhere").exists()
    descriptor = links.open_itself(str(tmp_path / "new"), os.O_RDWR | os.O_CREAT)
    try:
        assert stat.S_ISREG(os.fstat(descriptor).st_mode)
    finally:
        os.close(descriptor)


def test_new_name_is_taken_once_where_there_are_no_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(names.os, "link", refuse)
    for name in ("first", "second"):
        (tmp_path / name).write_text(name)
    names.link_new(str(tmp_path / "first"), str(tmp_path / "taken"))
    with pytest.raises(FileExistsError):
        names.link_new(str(tmp_path / "second"), str(tmp_path / "taken"))
    assert (tmp_path / "taken").read_text() == "first"
    assert (tmp_path / "second").read_text() == "second"


def test_shelf_is_made_where_there_are_no_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(names.os, "link")
    with coshelf.open(f"sqlite:{tmp_path / 'a.db'}") as shelf:
        shelf["hello"] = 15
    assert sorted(each.name for each in tmp_path.iterdir()) == [".a.db.coshelf-lock", "a.db"]
