"""Inputs that a coverage-guided fuzzer finds: ``python tests/fuzz/guided.py record -runs=100000``.

Atheris keeps the inputs that reach new branches of the library and changes those further. What follows the target's
name are options of libFuzzer. A finding ends the process with its input in a file.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["coshelf", "targets", "pickletools"], enable_loader_override=False):
    import targets

import samples

__all__: list[str] = []

SEEDS = {
    "record": samples.pickles,
    "layered record": samples.layered,
    "timed record": samples.timed,
    "signed record": samples.pickles,
    "key": samples.keys,
    "file": samples.files,
    "planted": lambda: [b"text"],
}
_LARGEST = {"file": 40_000}


def main() -> None:
    name, *options = sys.argv[1:]
    target = targets.TARGETS.get(name, targets.planted)
    targets.prepare()

    def try_input(data: bytes) -> None:
        """The first byte says whether the checksum is repaired: an even one, in three of four seeds."""
        if data:
            target(data[1:], not data[0] % 2)

    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(SEEDS[name]()):
            Path(corpus, str(number)).write_bytes(bytes([number % 4 == 3]) + seed)
        limits = [f"-max_len={_LARGEST.get(name, 4096)}", "-rss_limit_mb=0", "-timeout=20"]
        atheris.Setup([sys.argv[0], *limits, *options, corpus], try_input)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
