"""The benchmarks run with the packages of the tests, and the pages have the committed figures."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def run(program: str, *arguments: object) -> str:
    command = [sys.executable, f"benchmarks/{program}", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.timeout(600)
def test_every_kind_of_work_is_measured(tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    table = run(
        "run.py", "--rounds", 1, "--sizes", 200, "--kinds", "small dict", "--skip-special", "--place", tmp_path,
        "--results", results, "--contenders", "coshelf", "coshelf, no module", "shelve on dumb", "diskcache",
        "sqlite3 alone", "py-lmdb alone", "pickle alone",
    )  # fmt: skip
    (measured,) = json.loads(results.read_text())["tables"]
    for name in ("coshelf", "coshelf, no module"):
        for work in (
            "get", "dirty", "set", "batch", "transaction", "items", "keys", "prefix", "increment", "modify", "opening",
        ):  # fmt: skip
            assert measured["took"][name][work]["median"] > 0
        assert measured["latencies"][name]["0.99"] > 0
    assert measured["took"]["sqlite3 alone"].keys() == {"opening"}
    assert not measured["failed"]
    for work in ("get", "get, just after sets", "items, an entry", "keys, an entry", "open, get, close"):
        assert f"| {work} (200 keys, small dict) |" in table
    assert_pages_have(results, table, tmp_path)
    assert_peer_that_is_missing_is_named(results, tmp_path)


def assert_pages_have(results: Path, table: str, pages: Path) -> None:
    """The pages that are made of a run's results have its targets, and its figures in README's table."""
    (pages / "docs").mkdir()
    for page in ("README.md", "docs/benchmarks.md"):
        shutil.copy(ROOT / page, pages / page)
    run("report.py", "--results", results, "--pages", pages, "--tables-only")
    assert table.strip() in (pages / "docs/benchmarks.md").read_text()
    readme = (pages / "README.md").read_text()
    (row,) = (line for line in readme.splitlines() if line.startswith("| **coshelf** | "))
    measured = json.loads(results.read_text())["tables"][0]["took"]["coshelf"]
    for work, cell in zip(("get", "set", "batch", "items"), row.split("|")[2:], strict=False):
        assert float(cell.replace(",", "")) == pytest.approx(measured[work]["median"], abs=0.51)
    assert readme.count("| diskcache | ") == (ROOT / "README.md").read_text().count("| diskcache | ")


def assert_peer_that_is_missing_is_named(results: Path, pages: Path) -> None:
    measured = json.loads(results.read_text())
    measured["tables"][0]["took"].pop("rocksdict", None)
    measured["tables"][0]["missing"]["rocksdict"] = "not installed here"
    results.write_text(json.dumps(measured))
    run("report.py", "--results", results, "--pages", pages, "--tables-only")
    page = (pages / "docs/benchmarks.md").read_text()
    (row,) = (line for line in page.splitlines() if line.startswith("| get (200 keys") and "rocksdict" in line)
    assert "| not installed here |  | not compared |" in row


@pytest.mark.timeout(600)
def test_work_of_many_processes_is_measured(tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    table = run(
        "run.py", "--rounds", 1, "--sizes", "--seconds", 0.05, "--held", 0.1, "--many", 1000, "--place", tmp_path,
        "--results", results, "--contenders", "coshelf", "diskcache",
    )  # fmt: skip
    special = json.loads(results.read_text())["special"]
    assert special["counting"]["coshelf"]["exact"] and "diskcache" in special["counting"]
    assert special["crowd"]["coshelf"]["errors"] == 0 and special["held"]["right"]
    for work in (
        "8 processes (4 read, 4 write) beside diskcache",
        "4 processes add one to the same number beside diskcache",
        "4 processes read",
        '`durability="commit"` with 16 threads',
        "get from a stranger's shelf: plain data, small dict",
        "memory, update of 1,000 entries",
        "`import coshelf`",
    ):
        assert f"| {work} |" in table


@pytest.mark.timeout(600)
def test_growth_is_measured_with_a_cold_page_cache_too(tmp_path: Path) -> None:
    results = tmp_path / "growth.json"
    run("growth.py", "--sizes", 200, 400, "--rounds", 1, "--place", tmp_path, "--results", results,
        "--contenders", "coshelf", "shelve on dumb")  # fmt: skip
    sizes = json.loads(results.read_text())["sizes"]
    assert sizes.keys() == {"200", "400"}
    for of in sizes.values():
        assert {"get", "set", "items", "few, cold", "set, cold", "items, cold"} <= of["coshelf"].keys()


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
