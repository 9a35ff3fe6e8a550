"""Runs the tests on the other supported Pythons that this machine has, and prints which of them are missing.

Each Python gets an environment of its own beside the main one. Some tests run on the first Python only, because they
test files, locks and servers, and not Python: the example and the benchmark, and the tests of crashes, damage, kills,
base and delta, histories, races, care, servers, bad input, fuzzing, keys' bytes, compression, leases, cut networks, the
exclusive lock, schedules of threads, results that are computed once, the log's storms and sanitizers, deaths between
two instructions of the module in C, the command line, the viewer, adapters, pages of the documentation, words and
layers of the source, what is compared with diskcache and sqlitedict, which leave databases open, and what runs where
facilities are lacking. The tests of engines, values, large buffers, tasks, pickleshare and these doors run on the first
and the last Python. One Python runs without the module in C. Of the others, it alone runs the tests of the table of
turns, of files of other users, and some of expiry and kills. Django's Tasks need a later Python than the first.

Pythons that few machines have run the contract and the state machine of some engines: the newest one, the one without
the interpreter's lock, and one on musl. ``COSHELF_MUSL_PYTHON=PATH`` names the last, also for tests of two C libraries.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import second_run

SUPPORTED = ("3.11", "3.12", "3.13")
ON_THE_FIRST_ONLY = (
    "src/coshelf/contrib",
    "src/coshelf/viewer",
    "tests/test_bank.py",
    "tests/test_example.py",
    "tests/test_benchmarks.py",
    "tests/test_layers.py",
    "tests/test_metadata.py",
    "tests/test_platform_seam.py",
    "tests/test_vocabulary.py",
    "tests/test_web_pages.py",
    "tests/test_workflows.py",
    "tests/bad_input",
    "tests/blobs/test_from_outside.py",
    "tests/blobs/test_orphans.py",
    "tests/blobs/test_removal.py",
    "tests/care",
    "tests/cli",
    "tests/crash",
    "tests/damage",
    "tests/delta",
    "tests/docs",
    "tests/diskcache/test_beside_the_original.py",
    "tests/diskcache/test_silent_losses.py",
    "tests/diskcache/test_taking_over.py",
    "tests/diskcache/test_taking_over_processes.py",
    "tests/fuzz",
    "tests/histories",
    "tests/mistakes/test_mistakes.py",
    "tests/memoize/test_single_computation.py",
    "tests/native/test_call_steps.py",
    "tests/native/test_log_sanitized.py",
    "tests/native/test_log_steps.py",
    "tests/native/test_log_storm.py",
    "tests/native/test_sanitized.py",
    "tests/platforms",
    "tests/processes/test_containers.py",
    "tests/processes/test_exclusive_lock.py",
    "tests/processes/test_files_engine.py",
    "tests/processes/test_gevent.py",
    "tests/processes/test_gone_while_open.py",
    "tests/processes/test_handles.py",
    "tests/processes/test_kills.py",
    "tests/processes/test_lock_file.py",
    "tests/processes/test_locks.py",
    "tests/processes/test_many_shelves.py",
    "tests/processes/test_opening.py",
    "tests/processes/test_races.py",
    "tests/processes/test_sharing.py",
    "tests/programs",
    "tests/servers",
    "tests/sqlitedict_door/test_as_sqlitedict.py",
    "tests/sqlitedict_door/test_faults.py",
    "tests/sqlitedict_door/test_trust.py",
    "tests/threads",
    "tests/transfer",
    "tests/unit/test_costs.py",
    "tests/unit/test_exposure.py",
    "tests/unit/test_globs.py",
    "tests/unit/test_keys.py",
    "tests/unit/test_long_scans.py",
    "tests/unit/test_neighbours.py",
    "tests/unit/test_secrets_in_urls.py",
    "tests/values/test_compression.py",
    "tests/viewer",
    "tests/viewer_browser",
    "tests/watching/test_cli.py",
    "tests/watching/test_face_processes.py",
    "tests/watching/test_files.py",
    "tests/watching/test_live_page.py",
    "tests/watching/test_lmdb_kills.py",
    "tests/engines/test_files_on_a_network.py",
    "tests/ancestors/test_pickleshare_own_tests.py",
    "tests/ancestors/test_pickleshare_races.py",
    "tests/aio/test_cancelling.py",
    "tests/aio/test_contract.py",
    "tests/aio/test_life.py",
    "tests/locks/test_leader_election.py",
    "tests/locks/test_lease_protocol.py",
    "tests/locks/test_leases.py",
    "tests/locks/test_lock_histories.py",
    "tests/partitions",
    "tests/queues/test_copies.py",
    "tests/queues/test_examples.py",
    "tests/queues/test_histories.py",
    "tests/queues/test_processes.py",
    "tests/turns/test_steps.py",
    "tests/watching/test_lmdb_comings.py",
    "tests/watching/test_objects.py",
    "tests/watching/test_postgresql.py",
    "tests/watching/test_redis.py",
    "tests/watching/test_servers_in_tasks.py",
    "tests/watching/test_sqlite.py",
)
NEEDS_A_LATER_PYTHON = "tests/contrib/for_django/tasks"
"""Of the tests of adapters, those for which the first Python is too old: Django 6 needs 3.12."""
ENGINES_OF_THE_FIRST = [
    f"tests/engines/test_{file}.py::Test{engine}"
    for file in ("contract", "machine")
    for engine in ("Files", "Sqlite", "Mapping", "LmdbWith")
]
"""Prefixes of names. The classes that remain have lmdb with its defaults, and memory."""
NOT_IN_BETWEEN = (
    "tests/aio",
    "tests/ancestors/test_beside_pickleshare.py",
    "tests/ancestors/test_migrate.py",
    "tests/ancestors/test_pickleshare.py",
    "tests/ancestors/test_pickleshare_goes_on.py",
    "tests/blobs",
    "tests/diskcache",
    "tests/engines",
    "tests/reentry",
    "tests/sqlitedict_door",
    "tests/values",
)
"""Tests that a Python between the first and the last leaves out: its differences exist in the last, too."""
WITHOUT_NATIVE = "3.12"
"""The Python that runs the tests without the module in C."""
FOR_THE_MODULE = (
    "tests/bounded/test_processes.py",
    "tests/expiry/test_a_day.py",
    "tests/expiry/test_kills.py",
    "tests/tags/test_processes.py",
    "tests/turns/test_table.py",
    "tests/unit/test_planted_pickles.py",
    "tests/unit/test_trust_at_creation.py",
)
"""Tests that differ with the module in C and not with Python: of the others, that without the module runs them."""
ROOT = Path(__file__).resolve().parent.parent


class Short(NamedTuple):
    """A Python that runs a few tests.

    Attributes:
        engines: the classes in tests/engines that it runs, without their "Test".
        more: other tests that it runs.
        group: the dependency group with what these tests need.
        environment: variables for the tests.
    """

    engines: tuple[str, ...]
    more: tuple[str, ...] = ()
    group: str = "test-any"
    environment: tuple[tuple[str, str], ...] = ()


MUSL = "on musl"
IN_SHORT = {
    "3.14": Short(
        ("Lmdb", "Sqlite", "Memory", "MappingOverDict"),
        more=("tests/native/test_hostile_use.py", "tests/native/test_twins.py", "tests/processes/test_forks.py"),
    ),
    # The tests import lmdb, whose import would bring the lock back.
    "3.14t": Short(
        ("Sqlite", "Memory", "MappingOverDict"),
        group="test-engines",
        environment=(("PYTHON_GIL", "0"), ("COSHELF_NATIVE", "0")),
    ),
    MUSL: Short(
        ("Lmdb", "Sqlite"),
        more=("tests/native/test_log_stopped.py", "tests/processes/test_writer_mutex.py", "tests/turns/test_table.py"),
    ),
}
"""The Pythons that run a few tests."""


def of_adapters() -> list[str]:
    """The tests of adapters that run on the first Python only."""
    kept = ROOT / NEEDS_A_LATER_PYTHON
    folders = (ROOT / "tests" / "contrib", kept.parent)
    return [
        str(path.relative_to(ROOT))
        for folder in folders
        for path in sorted(folder.iterdir())
        if not kept.is_relative_to(path) and path.name != "conftest.py"
    ]


def find(version: str) -> str | None:
    """An interpreter of a version, on the PATH or in the directories of version managers. "t": without the lock."""
    if version == MUSL:
        return os.environ.get("COSHELF_MUSL_PYTHON")
    candidates = [shutil.which(f"python{version}")]
    number, free = version.removesuffix("t"), "+freethreaded" * version.endswith("t")
    for pattern in (
        f".pyenv/versions/{number}*/bin/python",
        f".local/share/uv/python/cpython-{number}*{free}-*/bin/python3",
    ):
        candidates += [str(path) for path in sorted(Path.home().glob(pattern))]
    for candidate in candidates:
        if candidate is not None and runs(candidate, version):
            return candidate
    return None


def runs(python: str, version: str) -> bool:
    """Whether the interpreter has that version. A version manager's shim may exist without it, and then fails."""
    asks = "import sys; print('%d.%d' % sys.version_info[:2] + 't' * ('t' in sys.abiflags))"
    asked = subprocess.run([python, "-c", asks], capture_output=True, text=True, check=False)
    return asked.stdout.strip() == version


def prepare(python: str, version: str, group: str = "test-any") -> Path:
    environment = ROOT / f".venv-{version.replace(' ', '-')}"
    ready = environment / "ready"
    interpreter = environment / "bin" / "python"
    sources = [ROOT / "pyproject.toml", *(ROOT / "native").glob("*.[ch]")]
    if not ready.exists() or ready.stat().st_mtime < max(path.stat().st_mtime for path in sources):
        subprocess.run([python, "-m", "venv", environment], check=True)
        pip = [interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
        subprocess.run([*pip, "--upgrade", "pip>=25.1"], check=True)
        subprocess.run([*pip, "--editable", ".", "--group", group], check=True, cwd=ROOT)
        ready.touch()
    return interpreter


def arguments_for(short: Short) -> list[str]:
    """The arguments of pytest for a few tests."""
    engines = [
        f"tests/engines/test_{file}.py::Test{engine}" for file in ("contract", "machine") for engine in short.engines
    ]
    return ["-q", "-n", "3", "--dist", "worksteal", "-m", "not long and not variant", *engines, *short.more]


def main() -> int:
    failed, said = [], []
    for version in SUPPORTED:
        if version == f"{sys.version_info[0]}.{sys.version_info[1]}":
            continue
        python = find(version)
        if python is None:
            print(f"SKIPPED: Python {version} is not on this machine")
            continue
        print(f"Python {version}:", flush=True)
        paths = ON_THE_FIRST_ONLY
        paths += () if version == SUPPORTED[-1] else NOT_IN_BETWEEN
        paths += () if version == WITHOUT_NATIVE else FOR_THE_MODULE
        left_out = [option for path in (*paths, *of_adapters()) for option in ("--ignore", path)]
        left_out += [option for name in ENGINES_OF_THE_FIRST for option in ("--deselect", name)]
        arguments = ["-q", "-n", "3", "--dist", "worksteal", "-m", "not long", *left_out]
        environment = os.environ | ({"COSHELF_NATIVE": "0"} if version == WITHOUT_NATIVE else {})
        code, found = second_run.run(str(prepare(python, version)), arguments, environment)
        if code:
            failed.append(version)
        said += [f"{line} (Python {version})" for line in found.splitlines()]
    for version, short in IN_SHORT.items():
        python = find(version)
        if python is None:
            print(f"SKIPPED: Python {version} is not on this machine")
            continue
        print(f"Python {version}, in short:", flush=True)
        code, found = second_run.run(
            str(prepare(python, version, short.group)), arguments_for(short), os.environ | dict(short.environment)
        )
        if code:
            failed.append(version)
        said += [f"{line} (Python {version})" for line in found.splitlines()]
    print("\n".join(said))
    if failed:
        print(f"failed on Python {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
