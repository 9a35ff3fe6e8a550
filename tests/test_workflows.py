"""The public workflows call targets that exist, on the Pythons and platforms that the project names."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

import portable

yaml = pytest.importorskip("yaml")

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def jobs() -> dict[str, Any]:
    return {
        name: job
        for path in WORKFLOWS
        for name, job in yaml.safe_load(path.read_text("utf-8"))["jobs"].items()
    }  # fmt: skip


def commands() -> list[str]:
    return [step["run"] for job in jobs().values() for step in job["steps"] if "run" in step]


def test_workflows_call_targets_of_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"(?m)^([a-z][a-z-]*):", makefile))
    called = {target for command in commands() for target in re.findall(r"(?m)^make ([a-z][a-z-]*)", command)}
    assert called == {"lint", "types", "docs", "test", "test-portable"}
    assert called <= targets


def pythons(job: str) -> set[str]:
    return set(jobs()[job]["strategy"]["matrix"]["python"])


def test_workflows_run_every_python_that_the_classifiers_name() -> None:
    named = {
        name.rpartition(" ")[2]
        for name in PROJECT["project"]["classifiers"]
        if re.fullmatch(r"Programming Language :: Python :: 3\.\d+", name)
    }
    assert named <= {"3.11", "3.12", "3.13", "3.14"}
    for job in ("linux", "portable", "musl"):
        assert named <= pythons(job), job
        assert all(isinstance(version, str) for version in pythons(job)), "3.10 as a number is 3.1"
    assert "3.14t" in pythons("portable")


def test_workflows_run_on_every_system_that_the_page_names() -> None:
    systems = set(jobs()["portable"]["strategy"]["matrix"]["system"])
    assert {name.partition("-")[0] for name in systems} == {"ubuntu", "macos", "windows"}
    assert any(name.endswith("-arm") for name in systems)
    assert "alpine" in jobs()["musl"]["container"]


def test_files_of_the_portable_tests_exist() -> None:
    assert [name for name in portable.FILES if not (ROOT / name).is_file()] == []
    assert sorted(portable.FILES[1:]) == list(portable.FILES[1:])
