"""What the package index shows: README, whose links work there, and the metadata of pyproject.toml."""

from __future__ import annotations

import email
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from other_interpreters import SUPPORTED

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
URLS = PROJECT["urls"]
PAGES = URLS["Documentation"] + "en/latest/"
FILES = URLS["Source"] + "/blob/main/"
IMAGES = URLS["Source"].replace("https://github.com/", "https://raw.githubusercontent.com/") + "/main/"
LINK = re.compile(r"(!?)\[[^\]]*\]\(([^)\s]+)\)")


def place_of(image: str, target: str) -> Path | None:
    """The file in the tree that an absolute link means; None if it is none of ours."""
    path, _, _ = target.partition("#")
    if image:
        return ROOT / path.removeprefix(IMAGES) if path.startswith(IMAGES) else None
    if path.startswith(FILES):
        return ROOT / path.removeprefix(FILES)
    if path.startswith(PAGES):
        name = path.removeprefix(PAGES) or "index.html"
        return ROOT / "docs" / f"{name.removesuffix('.html')}.md"
    return None


def test_links_and_images_of_the_readme_are_absolute_and_their_targets_exist() -> None:
    links = LINK.findall(README)
    assert len(links) > 15
    places = {target: place_of(image, target) for image, target in links}
    assert [target for target, place in places.items() if place is None] == []
    assert [target for target, place in places.items() if place is not None and not place.is_file()] == []
    assert re.findall(r"(?m)<(?:img|a) |^\[[^\]]+\]:\s", README) == [], "links of another form would not be checked"


def test_readme_renders_as_on_the_package_index() -> None:
    markdown = pytest.importorskip("readme_renderer.markdown")
    html = markdown.render(README)
    assert html is not None
    assert all(target in html for _, target in LINK.findall(README))
    assert "<table>" in html


def test_classifiers_exist_and_name_the_pythons_that_are_tested() -> None:
    known = pytest.importorskip("trove_classifiers").classifiers
    given = PROJECT["classifiers"]
    assert [name for name in given if name not in known] == []
    assert given == sorted(given)
    pythons = [
        name.rpartition(" ")[2] for name in given if re.fullmatch(r"Programming Language :: Python :: 3\.\d+", name)
    ]
    assert tuple(pythons) == SUPPORTED


def test_metadata_that_is_built_has_readme_urls_and_classifiers(tmp_path: Path) -> None:
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "src" / "coshelf").mkdir(parents=True)
    (tmp_path / "src" / "coshelf" / "__init__.py").touch()
    (tmp_path / "out").mkdir()
    build = (
        "import sys; from setuptools.build_meta import prepare_metadata_for_build_wheel as build; build(sys.argv[1])"
    )
    done = subprocess.run([sys.executable, "-c", build, "out"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (written,) = (tmp_path / "out").glob("*.dist-info/METADATA")
    message = email.message_from_string(written.read_text("utf-8"))
    assert message["Description-Content-Type"] == "text/markdown"
    assert str(message.get_payload()).strip() == README.strip()
    assert {line.partition(", ")[0] for line in message.get_all("Project-URL", [])} == set(URLS)
    assert set(URLS) >= {"Homepage", "Documentation", "Source", "Issues", "Changelog"}
    assert message.get_all("Classifier") == PROJECT["classifiers"]
    assert message["License-Expression"] == "MIT"
    assert message["Keywords"] == ",".join(PROJECT["keywords"])
