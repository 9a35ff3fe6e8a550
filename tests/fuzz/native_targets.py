"""Fuzzes the module in C: ``python tests/fuzz/native_targets.py loads -runs=10000000``.

Each target is a program: the sources of the module, the target in ``native/``, and a Python within. clang builds it
with libFuzzer, which keeps the inputs that reach new branches of the module; what follows the target's name are
libFuzzer's options. gcc builds it with a small loop of random changes instead. Both have AddressSanitizer and
UndefinedBehaviorSanitizer. A finding ends the program, and its input is kept.
"""

from __future__ import annotations

import os
import pickle
import random
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lmdb
from plain_values import a_key, a_value

from coshelf import keys, records

__all__ = ["TARGETS", "build", "compile_module", "environment", "write_corpus"]

ROOT = Path(__file__).resolve().parent.parent.parent
HERE = Path(__file__).resolve().parent / "native"
TARGETS = {"loads": [], "keys": [], "base": ["patches.c"], "log": []}
"""The targets, and the files that they need beside their own and the harness."""
_INCLUDED = {"log": {"log.c", "log_order.c"}}
"""Sources of the module that a target includes."""
_LARGEST = {"loads": 1024, "keys": 256, "base": 80, "log": 640}
_COUNT = 400  # seeds of a corpus
_SANITIZERS = "-fsanitize=address,undefined"


def compile_module(directory: Path, *, guided: bool) -> list[Path]:
    """Compile the module, which takes most of the time of a build; the object files, which serve all targets."""
    directory.mkdir(exist_ok=True)
    sources = sorted((ROOT / "native").glob("*.c"))
    subprocess.run([*_compiler(guided=guided), "-c", *map(str, sources)], cwd=directory, check=True)
    return [directory / f"{source.stem}.o" for source in sources]


def build(target: str, directory: Path, module: Sequence[Path], *, guided: bool) -> Path:
    """Build a target with the object files of the module, with libFuzzer if it is ``guided``; where the program is."""
    program = directory / f"{target}-program"
    read = sysconfig.get_config_var
    own = [HERE / f"{target}.c", HERE / "harness.c", *(HERE / name for name in TARGETS[target])]
    own += [] if guided else [HERE / "standalone.c"]
    included = _INCLUDED.get(target, set())
    library = [
        f"-L{read('LIBDIR')}",
        f"-L{read('LIBPL')}",
        f"-Wl,-rpath,{read('LIBDIR')}",
        f"-lpython{read('LDVERSION')}",
        "-ldl",
        "-lm",
    ]
    objects = [path for path in module if f"{path.stem}.c" not in included]
    files = map(str, [*own, *objects])
    command = [*_compiler(guided=guided), *files, *library, "-Wl,--export-dynamic", "-o", str(program)]
    subprocess.run(command, check=True)
    return program


def _compiler(*, guided: bool) -> list[str]:
    compiler = ["clang", f"{_SANITIZERS},fuzzer"] if guided else ["gcc", _SANITIZERS]
    general = ["-std=c11", "-O1", "-g", "-fno-omit-frame-pointer", "-fno-sanitize-recover=undefined", "-pthread"]
    include = ["-isystem", sysconfig.get_path("include"), f"-I{ROOT / 'native'}", f"-I{HERE}"]
    return [*compiler, *general, *include]


def environment(directory: Path) -> dict[str, str]:
    """The environment of the programs. ``directory`` has the files of :func:`write_corpus`."""
    own = {
        "COSHELF_FUZZ_PYTHON": sys.executable,
        "COSHELF_FUZZ_FILES": str(directory),
        "COSHELF_NATIVE": "0",  # the library of the Python within is the twin
        "PYTHONPATH": str(ROOT / "src"),
        "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1",  # CPython leaves memory; the harness counts
    }
    return {**os.environ, **own}


def write_corpus(target: str, directory: Path) -> Path:
    """Write the inputs to begin with, and the files that the target reads; the directory of the inputs."""
    corpus = directory / "corpus"
    corpus.mkdir()
    for number, data in enumerate(_SEEDS[target](directory)):
        (corpus / str(number)).write_bytes(data[: _LARGEST[target]])
    return corpus


def _pickles(_: Path) -> list[bytes]:
    chance = random.Random("pickles")
    made = [pickle.dumps(a_value(seed, shared=bool(seed % 2)), 2 + seed % 4) for seed in range(_COUNT * 2)]
    of_fit_size = [data for data in made if len(data) < _LARGEST["loads"]]
    return [bytes([chance.choice((0, 0, 0, 128 + chance.randrange(128)))]) + data for data in of_fit_size]


def _keys(_: Path) -> list[bytes]:
    return [keys.encode(a_key(seed)) for seed in range(_COUNT)]


def _patches(directory: Path) -> list[bytes]:
    """Patches of a base of some pages: leaves below a branch, and a record with pages of its own."""
    with lmdb.open(str(directory / "base"), subdir=False, map_size=1 << 20) as environment:
        with environment.begin(write=True) as transaction:
            for number in range(60):
                key = keys.encode(f"key {number}")
                value: Any = [number, "x" * (4_500 if number == 30 else 4 * number)]
                body = pickle.dumps(value, 5)
                transaction.put(key, records.seal(body, records.checksum(key, body), number))
        (directory / "base-lock").write_bytes((directory / "base-lock").read_bytes()[:64])
    chance = random.Random("patches")
    made = []
    for number in range(_COUNT):
        patches = [bytes([chance.randrange(20), 0, 0, 4 | chance.randrange(4), 0, 0])] * (number % 3)
        patches += [chance.randbytes(6) for _ in range(number % 5)]
        made.append(bytes([number % 64, number % 60]) + b"".join(patches))
    return made


def _changes(_: Path) -> list[bytes]:
    """Changes of a log: numbers at places that readers and writers look at."""
    chance = random.Random("changes")
    numbers = [0, 1, 7, 8, 64, 1024, 2**18, 2**32 - 1, 2**64 - 1, *range(8, 160)]  # the last are places of records
    made = []
    for number in range(_COUNT):
        changes = [
            chance.randbytes(4) + chance.choice([chance.randbytes(8), chance.choice(numbers).to_bytes(8, "little")])
            for _ in range(number % 9)
        ]
        made.append(bytes([number % 256]) + b"".join(changes))
    return made


_SEEDS = {"loads": _pickles, "keys": _keys, "base": _patches, "log": _changes}


def main() -> int:
    target, *options = sys.argv[1:]
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place)
        module = compile_module(directory / "module", guided=True)
        program = build(target, directory, module, guided=True)
        corpus = write_corpus(target, directory)
        limits = [f"-max_len={_LARGEST[target]}", "-rss_limit_mb=2048", "-timeout=20", "-print_final_stats=1"]
        command = [str(program), *limits, *options, str(corpus)]
        return subprocess.run(command, env=environment(directory), check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
