"""The benchmarks run with the packages of the tests, and the pages have the committed figures."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_a_small_run_measures_every_kind_of_work(tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    command = [
        sys.executable, "benchmarks/run.py", "--rounds", "1", "--sizes", "200", "--skip-special", "--place", tmp_path,
        "--contenders", "coshelf", "shelve on dumb", "py-lmdb alone", "pickle alone", "--results", results,
    ]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    measured = json.loads(results.read_text())
    for table in measured["tables"]:
        assert {"coshelf", "pickle alone"} <= set(table["took"])
        for work in ("get", "set", "batch", "items", "keys"):
            assert table["took"]["coshelf"][work]["median"] > 0


def test_the_committed_figures_are_those_of_the_page() -> None:
    measured = json.loads((ROOT / "benchmarks/results/latest.json").read_text())
    page = (ROOT / "docs/benchmarks.md").read_text()
    assert measured["machine"]["date"] in page
    for table in measured["tables"]:
        assert f"### {table['keys']:,} keys, {table['kind']}" in page
        assert f"{table['took']['coshelf']['get']['median']:.2f}" in page


def test_arrays_are_measured_in_every_way(tmp_path: Path) -> None:
    results = tmp_path / "arrays.json"
    command = [
        sys.executable, "benchmarks/large_arrays.py", "--largest", 1 << 20, "--count", 3, "--rounds", 1,
        "--place", tmp_path, "--results", results,
    ]  # fmt: skip
    done = subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    measured = json.loads(results.read_text())
    assert measured["opening"]["took"]["coshelf"]["open"] > 0
    used = measured["sharing"]["used"]
    assert used["coshelf"]["arrays"] < 2 < used["coshelf, get(copy=True)"]["arrays"]
    for size in measured["writing"]:
        assert size["speed"]["coshelf"]["durable"] > 0
    assert {"coshelf", "coshelf, update()", "diskcache"} <= set(measured["passes"]["took"])


def test_the_committed_figures_of_arrays_are_those_of_the_page() -> None:
    measured = json.loads((ROOT / "benchmarks/results/arrays.json").read_text())
    page = (ROOT / "docs/benchmarks.md").read_text()
    assert f"{measured['sharing']['used']['coshelf']['arrays']:.2f} times" in page
    for size in measured["writing"]:
        assert f"{size['speed']['coshelf']['returned']:.2f} (without zlib-ng" in page
