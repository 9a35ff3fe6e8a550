"""The command line, as it is used: from a shell."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

import click
import pytest

import coshelf
from coshelf.cli.commands import NAMES
from coshelf.cli.commands import coshelf as group

ROOT = Path(__file__).resolve().parents[2]


def test_console_script_is_installed() -> None:
    assert shutil.which("coshelf", path=str(Path(sys.executable).parent))


def test_export_and_import_through_a_pipe(sh, a_shelf: str, tmp_path: Path) -> None:
    out, said = sh(
        "coshelf export --trust-pickle a.shelf - | coshelf import - b.shelf; coshelf export b.shelf - | wc -l"
    )
    assert out.strip() == "2"
    assert said == "jsonl: 2 exported\njsonl: 2 imported\njsonl: 2 exported\n"
    with coshelf.open(tmp_path / "b.shelf") as shelf:
        assert dict(shelf) == {"hello": 15, ("t", 1): {"x": None}}


def test_standard_output_has_data_alone(sh, a_shelf: str) -> None:
    out, said = sh("coshelf export --trust-pickle a.shelf -")
    assert out == '{"key": "hello", "value": 15}\n{"key": ["t", 1], "value": {"x": null}}\n'
    assert said == "jsonl: 2 exported\n"
    out, said = sh("coshelf import --json a.shelf b.shelf")
    assert json.loads(out) == {"kind": "coshelf", "done": 2, "unchanged": 0, "skipped": [], "failed": []}


def test_reader_that_leaves_early_is_no_traceback(sh, tmp_path: Path) -> None:
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        shelf.update((f"key{number}", "x" * 100) for number in range(5_000))
    out, _ = sh("coshelf export a.shelf - 2> said | head -n 1; cat said")
    assert out.startswith('{"key": "key0"')
    assert "Traceback" not in out


def test_exit_codes(sh, a_shelf: str, tmp_path: Path) -> None:
    sh("coshelf import a.shelf b.shelf", 0)
    with coshelf.open(tmp_path / "b.shelf") as shelf:
        shelf["hello"] = 16
    _, said = sh("coshelf import a.shelf b.shelf", 1)
    assert said == (
        "coshelf: 0 imported, 1 unchanged, 1 skipped\n  skipped 'hello': the target has another value (--replace)\n"
    )
    sh("coshelf import a.shelf", 2)
    sh("coshelf import --from oracle a.shelf b.shelf", 2)
    sh("coshelf import --keyencoding klingon a.shelf b.shelf", 2)
    sh("coshelf export a.shelf - --json", 2)
    sh("coshelf nonsense", 2)
    _, said = sh("coshelf import none b.shelf", 3)
    assert said == "error: there is nothing to import at none\n"
    _, said = sh("coshelf export a.shelf b.shelf", 3)
    assert re.fullmatch("error: .*b.shelf exists already; it has not been changed\n  hint: --overwrite\n", said)
    _, said = sh("coshelf export none -", 3)
    assert said.startswith("error: ")


def test_long_lists_are_cut_and_json_has_all(sh, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("nonsense\n" * 50)
    _, said = sh("coshelf import a.jsonl a.shelf", 1)
    assert len(said.splitlines()) == 22
    assert said.endswith("  and 30 more failed (--json has all)\n")
    out, _ = sh("coshelf import --json a.jsonl a.shelf", 1)
    assert len(json.loads(out)["failed"]) == 50


def test_module_runs_as_the_script_does(sh, a_shelf: str) -> None:
    python = sys.executable
    assert sh(f"{python} -m coshelf --help")[0] == sh("coshelf --help")[0]
    assert sh("coshelf --version")[0].startswith("coshelf, version ")


def test_without_click_the_way_to_get_it_is_told(sh) -> None:
    blocked = "import sys; sys.modules['click'] = None; from coshelf.cli import main; main()"
    _, said = sh(f'{sys.executable} -c "{blocked}"', 2)
    assert said == "error: the command line needs click\n  hint: pip install 'coshelf[cli]'\n"


def test_no_progress_is_shown_in_a_pipe(sh, tmp_path: Path) -> None:
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        shelf.update((f"key{number}", number) for number in range(3_000))
    assert sh("coshelf import a.shelf c.shelf")[1] == "coshelf: 3,000 imported\n"


def test_every_command_is_listed() -> None:
    modules = {each.stem.removesuffix("_command") for each in (ROOT / "src/coshelf/cli").glob("*_command.py")}
    assert set(NAMES) == modules


@pytest.mark.parametrize("name", NAMES)
def test_every_command_and_option_has_help_and_is_documented(sh, name: str) -> None:
    command = group.get_command(click.Context(group), name)
    assert command is not None and command.help
    out, _ = sh(f"coshelf {name} --help")
    assert command.help.splitlines()[0][:40] in out
    page = (ROOT / "docs/command-line.md").read_text()
    assert f"## coshelf {name} " in page
    section = page.split(f"## coshelf {name} ", 1)[1].split("\n## ", 1)[0]
    assert f"```{{command}} {name}\n```" in section  # docs/extensions/command_pages.py puts the options there
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.name
            assert f"- `{parameter.opts[0]}" not in section, "the options are in the help of the command"
