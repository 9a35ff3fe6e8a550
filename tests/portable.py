"""Runs the tests that need nothing of the platform: ``make test-portable``.

``make test`` needs Linux: it starts servers, cuts power and looks into ``/proc``. These tests are the contract of the
engines that run everywhere, a shelf against a dict, keys, records, values, the gate, trust and the seam.
Where LMDB is missing, as on Windows, tests of its engine are left out, and so are those of the files engine.
"""

from __future__ import annotations

import importlib.util
import platform
import subprocess
import sys
from pathlib import Path

__all__ = ["FILES", "main"]

ROOT = Path(__file__).parent.parent
FILES = (
    "tests/test_platform_seam.py",
    "tests/engines/test_contract.py",
    "tests/engines/test_machine.py",
    "tests/unit/test_access_lists.py",
    "tests/unit/test_as_a_dict.py",
    "tests/unit/test_cursors.py",
    "tests/unit/test_gate.py",
    "tests/unit/test_keys.py",
    "tests/unit/test_namespaces.py",
    "tests/unit/test_options.py",
    "tests/unit/test_records.py",
    "tests/unit/test_snapshots.py",
    "tests/unit/test_system_fallbacks.py",
    "tests/unit/test_transactions.py",
    "tests/unit/test_trust_without_numbers.py",
    "tests/unit/test_values.py",
    "tests/unit/test_views.py",
    "tests/unit/test_writeback_changes.py",
    "tests/unit/test_writeback_conflicts.py",
)
LOCK_IS_BACK = "ignore:The global interpreter lock:RuntimeWarning"
"""What a Python without its lock warns of when lmdb is imported: docs/platforms.md."""
WITHOUT_LMDB = "not lmdb and not Lmdb and not Files"


def main() -> int:
    """Run them, and say where. The arguments are given to pytest."""
    print(f"{platform.platform()}, Python {sys.version}", flush=True)
    command = [sys.executable, "-m", "pytest", "-q", "-m", "not long", "-W", LOCK_IS_BACK, *sys.argv[1:]]
    if importlib.util.find_spec("lmdb") is None:
        command += ["-k", WITHOUT_LMDB]
    return subprocess.run([*command, *FILES], cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
