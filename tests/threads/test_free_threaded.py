"""What coshelf does where the interpreter runs without its lock. A real one runs `stress.py` beside these tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPTS = Path(__file__).parent / "scripts"


def python(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_module_in_c_stays_out_of_the_way() -> None:
    told = python(
        "import sys; sys._is_gil_enabled = lambda: False\n"
        "from coshelf import native\n"
        "print(native.in_use, 'coshelf._native' in sys.modules, native.reason)"
    )
    assert told.startswith("False False this is free-threaded Python")


def test_a_path_without_lmdb_names_what_works(tmp_path: Path) -> None:
    told = python(
        "import sys; sys.modules['lmdb'] = None; sys._is_gil_enabled = lambda: False\n"
        "import coshelf\n"
        f"try: coshelf.open({str(tmp_path / 'a.shelf')!r})\n"
        "except coshelf.MissingExtra as error: print(error)\n"
        f"coshelf.open({'sqlite:' + str(tmp_path / 'a.db')!r}).close()\n"
    )
    assert "lmdb cannot be imported" in told
    assert "sqlite:PATH needs only the standard library, and works in subinterpreters and free-threaded Python" in told
    assert not (tmp_path / "a.shelf").exists()
