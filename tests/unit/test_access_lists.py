"""Access control lists of each system, and what holds where one cannot be read."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import coshelf
from coshelf.system.rights import access_lists, list_attributes, users
from coshelf.system.rights.access_lists import Listed, listed, listed_for_new_files
from coshelf.system.rights.ancestors import OtherFile, _from_above, _from_below
from coshelf.system.rights.list_texts import writers_in
from coshelf.trust.exposure import exposure_above, exposure_of, exposure_to_others_than
from coshelf.trust.writers import Writers, writers_of

pytestmark = pytest.mark.skipif(not users.has_numbers, reason="lists are asked for where users have numbers")

# --- lists that cannot be read ---------------------------------------------------------------------------------------


def refuse(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """As a sandbox that does not let a process read attributes."""

    def refused(*_: object, **__: object) -> bytes:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "getxattr", refused, raising=False)


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOSYS])
def test_a_list_that_cannot_be_read_may_let_anybody_write(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not list_attributes.exist:
        pytest.skip("this system has no such lists")
    path = tmp_path / "a.shelf"
    with coshelf.open(path) as shelf:
        shelf["soup"] = subprocess.Popen
    assert exposure_of(str(path), path.stat()) is None
    refuse(monkeypatch, number)
    assert "cannot be read" in (exposure_of(str(path), path.stat()) or "")
    assert "cannot be read" in (exposure_above(str(path), path.stat()) or "")
    with coshelf.open(path) as shelf:
        shelf["plain"] = 1
        assert shelf["plain"] == 1
        with pytest.raises(coshelf.UntrustedValue, match=r"access control list of .* cannot be read"):
            print(shelf["soup"])


def test_a_file_beside_a_shelf_is_refused_if_only_its_list_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "beside"
    path.touch(0o600)
    known = writers_of(path.stat(), str(path))
    monkeypatch.setattr(access_lists, "listed", lambda _, *, by_group: Listed(is_known=False))
    unknown = writers_of(path.stat(), str(path))
    assert known == Writers(frozenset({os.getuid()}), frozenset(), everybody=False)
    assert not unknown.are_known
    assert "cannot be read" in (exposure_to_others_than(known, str(path), path.stat(), str(path)) or "")
    assert exposure_to_others_than(unknown, str(path), path.stat(), str(path)) is None


def test_a_list_of_an_unknown_form_may_let_anybody_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"system.nfs4_acl_xdr": b"\0" * 28}
    monkeypatch.setattr(list_attributes, "exist", True)
    monkeypatch.setattr(list_attributes, "_attribute", lambda _, name: found.get(name))
    assert not listed(str(tmp_path), by_group=False).is_known


def test_without_a_kind_of_list_the_mode_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on OpenBSD: neither attributes, nor functions of the C library."""
    monkeypatch.setattr(list_attributes, "exist", False)
    assert listed(str(tmp_path), by_group=True) == Listed()
    assert listed_for_new_files(str(tmp_path)) == Listed()


def test_without_ctypes_there_may_be_lists_that_are_not_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(list_attributes, "exist", False)
    monkeypatch.setitem(sys.modules, "ctypes", None)
    assert not listed(str(tmp_path), by_group=False).is_known


# --- macOS -----------------------------------------------------------------------------------------------------------

HEAD = "!#acl 1\n"
EVERYONE = "group:ABCDEFAB-CDEF-ABCD-EFAB-CDEF0000000C:everyone:12"
ANN = "user:FFFFEEEE-DDDD-CCCC-BBBB-AAAA000001F6:ann:502"


@pytest.mark.parametrize(
    ("text", "now", "later"),
    [
        (HEAD, (set(), set()), (set(), set())),
        (f"{HEAD}{EVERYONE}:deny:delete\n", (set(), set()), (set(), set())),
        (f"{HEAD}{EVERYONE}:allow:read,execute\n", (set(), set()), (set(), set())),
        (f"{HEAD}{EVERYONE}:allow:read,write\n", (set(), {12}), (set(), set())),
        (f"{HEAD}{ANN}:allow:delete_child\n", ({502}, set()), (set(), set())),
        (f"{HEAD}{ANN}:allow,file_inherit:append\n", ({502}, set()), ({502}, set())),
        (f"{HEAD}{ANN}:allow,file_inherit,only_inherit:write\n", (set(), set()), ({502}, set())),
        (f"{HEAD}{EVERYONE}:deny:delete\n{ANN}:allow:writesecurity\n", ({502}, set()), (set(), set())),
    ],
)
def test_lists_of_macos_are_read(text: str, now: Any, later: Any) -> None:
    assert writers_in(text, to_new_files=False) == now
    assert writers_in(text, to_new_files=True) == later


@pytest.mark.parametrize(
    "text",
    ["", "user::rw-\ngroup::r--\n", f"{HEAD}user:ann:allow:write\n", f"{HEAD}user:0:gone::allow:write\n", "!#acl 2\n"],
)
def test_a_list_that_is_not_understood_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"not known|invalid literal"):
        writers_in(text, to_new_files=False)


LIBRARY = r"""
#include <errno.h>
#include <stdlib.h>
#include <string.h>
/* As macOS's C library: a list is an object, of which acl_to_text makes a text. Descriptor 0 has none. */
void *acl_get_fd_np(int descriptor, int kind) {
    if (kind != 0x100) { errno = EINVAL; return NULL; }
    if (descriptor == 0) { errno = ENOENT; return NULL; }
    if (descriptor == 1) { errno = EBADF; return NULL; }
    return strdup("!#acl 1\nuser:UUID:ann:502:allow:write\n");
}
void *acl_get_link_np(const char *path, int kind) { return acl_get_fd_np(strcmp(path, "none") ? 2 : 0, kind); }
char *acl_to_text(void *list, size_t *length) { return strdup(list); }
int acl_free(void *memory) { free(memory); return 0; }
"""
CALLS = """
from coshelf.system.rights import list_attributes
from coshelf.system.rights.access_lists import Listed, listed
list_attributes.exist = False
ann = Listed(users=frozenset({502}))
assert listed(2, by_group=False) == listed("some", by_group=False) == ann
assert listed(0, by_group=False) == listed("none", by_group=False) == Listed()
assert not listed(1, by_group=False).is_known
"""


def test_lists_of_macos_are_asked_from_its_library(tmp_path: Path) -> None:
    """The library is a stand-in: the calls, and the memory that they give, are what is tested."""
    compiler = shutil.which("cc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("needs a compiler, and LD_PRELOAD")
    (tmp_path / "lists.c").write_text(LIBRARY)
    library = tmp_path / "lists.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, tmp_path / "lists.c"], check=True, timeout=300)
    environment = os.environ | {"LD_PRELOAD": str(library)}
    done = subprocess.run([sys.executable, "-c", CALLS], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


# --- the directories above -------------------------------------------------------------------------------------------


def test_directories_are_the_same_with_and_without_descriptors(tmp_path: Path) -> None:
    path = tmp_path / "outer" / "inner" / "file"
    path.parent.mkdir(parents=True)
    path.touch()
    below = [(each.path, each.status.st_ino, each.entry.st_ino) for each in _from_below(str(path), path.stat())]
    above = [(each.path, each.status.st_ino, each.entry.st_ino) for each in _from_above(str(path), path.stat())]
    assert below == above[::-1]
    assert below[0] == (str(path.parent), path.parent.stat().st_ino, path.stat().st_ino)


def test_another_file_at_the_path_is_noticed_in_both_ways(tmp_path: Path) -> None:
    (tmp_path / "one").touch()
    (tmp_path / "two").touch()
    for directories in (_from_below, _from_above):
        with pytest.raises(OtherFile, match="another file"):
            list(directories(str(tmp_path / "one"), (tmp_path / "two").stat()))


def test_exposure_is_the_same_where_calls_take_no_directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "outer" / "inner" / "file"
    path.parent.mkdir(parents=True)
    path.touch()
    monkeypatch.setattr("coshelf.system.rights.ancestors._by_descriptors", False)
    assert exposure_above(str(path), path.stat()) is None
    (tmp_path / "outer").chmod(0o777)
    assert exposure_above(str(path), path.stat()) == f"everybody can write {tmp_path / 'outer'}"
