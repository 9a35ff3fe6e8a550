"""What stays on the disk of a value that was edited, and what is said of it."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import coshelf

SECRET = b"0123456789abcdef"
PLAINTEXT = "plaintext-that-nobody-is-to-find"

# An editor as vim is one: it leaves a swap file and a backup beside the file that it was given.
EDITOR = f"""#!/bin/sh
echo '{PLAINTEXT}' > "$1"
echo '{PLAINTEXT}' > "$1~"
echo '{PLAINTEXT}' > "$(dirname "$1")/.value.swp"
mkdir "$(dirname "$1")/backups"
echo '{PLAINTEXT}' > "$(dirname "$1")/backups/value"
ls -ld "$(dirname "$1")" >> permissions
echo "$1" >> paths
"""


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Where a draft may lie."""
    found = [tmp_path / name for name in ("run", "tmp")]
    for place in found:
        place.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(found[0]))
    monkeypatch.setenv("TMPDIR", str(found[1]))
    monkeypatch.delenv("VISUAL", raising=False)
    (tmp_path / "secret").write_bytes(SECRET)
    (tmp_path / "editor").write_text(EDITOR)
    (tmp_path / "locking").write_text(EDITOR + "coshelf set a.shelf k theirs $GIVEN\n")
    (tmp_path / "failing").write_text(EDITOR + "exit 1\n")
    for name in ("editor", "locking", "failing"):
        (tmp_path / name).chmod(0o755)
    return found


def left_in(places: list[Path]) -> list[Path]:
    return [path for place in places for path in place.rglob("*") if path.is_file()]


@pytest.mark.parametrize("editor", ["editor", "locking", "failing"])
def test_nothing_of_an_encrypted_value_stays_whatever_happens(
    editor: str, sh, places: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIVEN", "--encrypt-with secret")
    with coshelf.open(tmp_path / "a.shelf", encrypt=SECRET) as shelf:
        shelf["k"] = "before"
    code = {"editor": 0, "locking": 1, "failing": 2}[editor]
    _, said = sh(f"EDITOR=./{editor} coshelf edit a.shelf k --encrypt-with secret < /dev/null", code)
    assert left_in(places) == []
    assert (tmp_path / "paths").read_text().startswith(str(tmp_path / "run"))
    assert (tmp_path / "permissions").read_text().startswith("drwx------")
    if code:
        assert "what you wrote was removed, since it would stay there not encrypted" in said
    with coshelf.open(tmp_path / "a.shelf", encrypt=SECRET) as shelf:
        assert shelf["k"] == {"editor": f"{PLAINTEXT}\n", "locking": "theirs", "failing": "before"}[editor]


@pytest.mark.parametrize("editor", ["locking", "failing"])
def test_what_could_not_be_stored_is_kept_alone_and_its_place_is_told(
    editor: str, sh, places: list[Path], tmp_path: Path
) -> None:
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        shelf["k"] = "before"
    _, said = sh(f"EDITOR=./{editor} coshelf edit a.shelf k < /dev/null", 1 if editor == "locking" else 2)
    (kept,) = left_in(places)
    assert f"as plain text, what you wrote is in {kept}\n" in said
    assert kept.read_text() == f"{PLAINTEXT}\n"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600 and stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    shutil.rmtree(kept.parent)


def test_encrypted_draft_goes_when_the_command_is_ended(places: list[Path], tmp_path: Path) -> None:
    with coshelf.open(tmp_path / "a.shelf", encrypt=SECRET) as shelf:
        shelf["k"] = "before"
    os.mkfifo(tmp_path / "started")
    (tmp_path / "waiting").write_text(EDITOR + "echo > started\nexec sleep 60\n")
    (tmp_path / "waiting").chmod(0o755)
    process = subprocess.Popen(
        [sys.executable, "-m", "coshelf", "edit", "a.shelf", "k", "--encrypt-with", "secret"],
        cwd=tmp_path,
        env=os.environ | {"EDITOR": "./waiting"},
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    (tmp_path / "started").read_bytes()
    assert left_in(places)
    os.killpg(process.pid, signal.SIGTERM)
    assert process.wait(300) == 128 + signal.SIGTERM
    assert left_in(places) == []
