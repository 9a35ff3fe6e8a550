"""Copying shelves to object stores and back, and the other commands on them: through a real shell."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import objects
import pytest

import coshelf
from coshelf.transfer import copy_entries

Shell = Callable[..., tuple[str, str]]


@pytest.fixture
def sh(tmp_path: Path) -> Shell:
    """Runs a line in a real shell, where ``coshelf`` is the console script."""

    def run(line: str, code: int = 0) -> tuple[str, str]:
        search = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = os.environ | {"PATH": search, "XDG_STATE_HOME": str(tmp_path / "state")}
        done = subprocess.run(["sh", "-c", line], cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == code, done
        assert "Traceback" not in done.stderr and objects.SECRET not in done.stderr + done.stdout
        told = (line for line in done.stderr.splitlines(keepends=True) if not line.startswith("waiting for "))
        return done.stdout, "".join(told)  # on a busy machine the server answers late

    return run


def test_there_and_back_again(sh: Shell, moto: objects.Server, tmp_path: Path) -> None:
    url = moto.url()
    entries: dict[Any, Any] = {"a": 1, ("t", 2): [3], "long": "x" * 100_000}
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        shelf.update(entries | {"k" * 3_000: "too long", "array": np.arange(200_000.0)})
    _, said = sh(f"coshelf copy a.shelf '{url}'", 1)
    assert said.startswith("lmdb to objects: 4 copied, 1 failed\n  failed 'kkk") and "a key has at most" in said
    _, said = sh(f"coshelf copy '{url}' b.shelf")
    assert said == "objects to lmdb: 4 copied\n"
    assert len([*(tmp_path / "b.shelf.coshelf-blobs").iterdir()]) >= 1
    with coshelf.open(tmp_path / "b.shelf", trust=True) as shelf:
        assert (shelf.pop("array") == np.arange(200_000.0)).all()
        assert dict(shelf) == entries
    assert not json.loads(sh("coshelf info b.shelf --json")[0])["trusted"]


def test_copy_to_an_object_store_killed_in_the_middle_goes_on(sh: Shell, moto: objects.Server, tmp_path: Path) -> None:
    url = moto.url()
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        shelf.update((number, number) for number in range(400))
    process = subprocess.Popen([sys.executable, "-m", "coshelf", "copy", "a.shelf", url], cwd=tmp_path)
    moto.requests.clear()
    while moto.requests.count("PUT") < 60 and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    with coshelf.open(url, "r") as there:
        begun = len(there)
        assert 40 < begun < 400
    report = json.loads(sh(f"coshelf copy a.shelf '{url}' --json")[0])
    assert report["unchanged"] >= begun - 16
    assert report["done"] + report["unchanged"] == report["verified"] == 400


def test_signed_values_stay_with_their_shelf(moto: objects.Server, tmp_path: Path) -> None:
    with coshelf.open(tmp_path / "a.shelf", sign=b"s" * 16) as shelf:
        shelf["a"] = 1
    report = copy_entries(tmp_path / "a.shelf", moto.url())
    assert (report.done, len(report.failed)) == (0, 1)


def test_copying_asks_for_no_more_than_it_needs(moto: objects.Server) -> None:
    with coshelf.open("memory:") as source, coshelf.open(moto.url()) as target:
        source.update((number, number) for number in range(200))
        moto.requests.clear()
        copy_entries(source, target, verify=False)
        assert moto.requests.count("PUT") == 200
        assert len(moto.requests) < 210  # and a LIST for each batch


def test_commands_on_an_object_store(sh: Shell, moto: objects.Server) -> None:
    url = f"'{moto.url()}'"
    sh(f"coshelf set {url} users/ann --json '{{\"age\": 3}}'; coshelf set {url} n 5")
    assert sh(f"coshelf ls {url}")[0] == "n\nusers/ann\n"
    assert sh(f"coshelf get {url} users/ann")[0] == '{"age": 3}\n'
    found = json.loads(sh(f"coshelf info {url} --json")[0])
    assert found["engine"] == "objects" and found["entries"] == 2 and not found["trusted"]
    assert json.loads(sh(f"coshelf stats {url} --json")[0])["entries"] == 2
    assert "no damage" in sh(f"coshelf check {url}")[1]
    _, said = sh(f"coshelf backup {url} b.shelf", 3)
    assert "coshelf copy" in said
    sh(f"coshelf del {url} n; coshelf get {url} n", 1)
