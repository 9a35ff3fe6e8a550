"""``%load_ext coshelf.ipython``, in real IPython processes."""

from __future__ import annotations

import os
import subprocess
import sys
import types
from pathlib import Path

import pytest

import coshelf
from coshelf.ipython import ProfileDatabase


@pytest.fixture
def profile(tmp_path: Path) -> str:
    return str(tmp_path / "ipython")


def start(profile: str, *lines: str) -> subprocess.Popen[str]:
    script = "\n".join(["%load_ext coshelf.ipython", *lines]) + "\n"
    path = f"{profile}-{abs(hash(script))}.ipy"
    Path(path).write_text(script)
    return subprocess.Popen(
        [sys.executable, "-m", "IPython", "--no-banner", "--colors=NoColor", path],
        env={**os.environ, "IPYTHONDIR": profile},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(profile: str, *lines: str) -> str:
    said, _ = start(profile, *lines).communicate()
    assert "Traceback" not in said, said
    return said


def shelf_of(profile: str) -> coshelf.Shelf[str, object]:
    return coshelf.open(os.path.join(profile, "profile_default", "db.shelf"), "r")


def test_stored_variables_survive_and_are_listed(profile: str) -> None:
    run(profile, "x = [1, 2]", "%store x", "%alias_magic t timeit", "%bookmark here")
    said = run(profile, "%store -r x", "print('got', x)", "%store", "%bookmark -l")
    assert "got [1, 2]" in said
    assert "x             -> [1, 2]" in said or "x -> [1, 2]" in said
    assert "here" in said
    run(profile, "%store -d x")
    assert "autorestore/x" not in shelf_of(profile)


def test_many_kernels_store_at_once(profile: str) -> None:
    run(profile, "pass")
    kernels = [start(profile, f"v{n} = {n}", f"%store v{n}", f"%store -r v{n}") for n in range(4)]
    for kernel in kernels:
        said, _ = kernel.communicate()
        assert "Traceback" not in said, said
    with shelf_of(profile) as shelf:
        assert dict(shelf.items("autorestore/*")) == {f"autorestore/v{n}": n for n in range(4)}


def test_what_the_profile_had_is_taken_over(profile: str) -> None:
    run(
        profile,
        "%unload_ext coshelf.ipython",
        "import os; os.unlink(get_ipython().profile_dir.location + '/db.shelf')",
        "old = 'kept'",
        "%store old",
    )
    assert os.path.isdir(os.path.join(profile, "profile_default", "db"))
    assert "got kept" in run(profile, "%store -r old", "print('got', old)")


def test_profile_on_a_network_file_system_keeps_its_directory_and_says_so(profile: str) -> None:
    plain = ["%unload_ext coshelf.ipython", "import os; os.unlink(get_ipython().profile_dir.location + '/db.shelf')"]
    run(profile, *plain, "old = 'kept'", "%store old")
    on_nfs = [
        "from coshelf.system.file_systems import kinds as f; f.type_of = lambda path: 'nfs4'",
        "%load_ext coshelf.ipython",
    ]
    said = run(profile, *plain, *on_nfs, "%store -r old", "print('got', old)", "new = [1]", "%store new", "%store")
    assert "got kept" in said
    assert said.count("network file system (nfs4)") == 1
    assert not os.path.exists(os.path.join(profile, "profile_default", "db.shelf"))
    assert "got [1]" in run(profile, *plain, "%store -r new", "print('got', new)")
    with coshelf.open(f"files:{profile}/profile_default/db", "r") as shelf:
        assert dict(shelf.items("autorestore/*")) == {"autorestore/old": "kept", "autorestore/new": [1]}


def test_database_has_the_manners_that_ipython_expects() -> None:
    with coshelf.open("memory:") as shelf:
        database = ProfileDatabase(shelf)
        database.update({"autorestore/b": 2, "autorestore/a": 1, "dhist": []})
        keys = database.keys("autorestore/*")
        keys.sort()
        assert keys == ["autorestore/a", "autorestore/b"]
        del database["nothing"]
        del database["dhist"]
        assert database.get("dhist", "gone") == "gone"
        with pytest.raises(KeyError):
            database["nothing"]


def test_value_whose_class_is_gone_can_be_deleted_and_overwritten() -> None:
    class Gone:
        """What cannot be found again when it is unpickled."""

    with coshelf.open("memory:") as shelf, pytest.MonkeyPatch.context() as patch:
        module = types.ModuleType("a_module")
        Gone.__module__, Gone.__qualname__ = "a_module", "Gone"
        module.Gone = Gone  # type: ignore[attr-defined]
        patch.setitem(sys.modules, "a_module", module)
        database = ProfileDatabase(shelf)
        database.update(dict.fromkeys("abcde", Gone()))
        patch.delitem(sys.modules, "a_module")
        assert database.pop("a", "not given up") == "not given up"
        assert list(database) == ["a", "b", "c", "d", "e"]
        del database["a"]
        database["b"] = 1
        assert list(database) == ["b", "c", "d", "e"]
        database.clear()
        assert list(database) == []


def test_notebooks_show_keys_and_sizes_and_decode_nothing(tmp_path: Path) -> None:
    class Loud:
        def __reduce__(self) -> tuple[object, ...]:
            return (pytest.fail, ("it was unpickled",))

    with coshelf.open(tmp_path / "a.shelf") as shelf:
        assert "0 entries" in shelf._repr_html_()
        shelf.update({f"<key {number:02}>": Loud() for number in range(12)})
        shown = shelf._repr_html_()
        assert "&lt;key 00&gt;" in shown
        assert "… 2 more" in shown
        assert shelf._ipython_key_completions_()[:2] == ["<key 00>", "<key 01>"]
        repr(shelf)
    assert "closed" in shelf._repr_html_()
