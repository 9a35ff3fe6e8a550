"""Commands on shelves of other codecs and layers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import coshelf
from coshelf.cli.get_command import get_command
from coshelf.engines.lmdb.engine import LmdbEngine
from coshelf.keys import encode

SECRET = b"a secret of a file"


@pytest.mark.parametrize("codec", ["str", "bytes"])
@pytest.mark.parametrize("compress", [None, "zstd"])
def test_text_and_bytes_pass_to_the_byte(sh, tmp_path: Path, codec: str, compress: str | None) -> None:
    data = b"\x00\xff\r\n" * 50 if codec == "bytes" else "é\n\r\n ".encode() * 50
    (tmp_path / "data").write_bytes(data)
    coshelf.open(tmp_path / "a.shelf", codec=codec, compress=compress).close()  # type: ignore[call-overload]
    sh("coshelf set a.shelf k < data && coshelf get a.shelf k > out && cmp data out")
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        assert shelf["k"] == (data if codec == "bytes" else data.decode())


def test_json_is_written_as_it_is_stored(sh, tmp_path: Path) -> None:
    with coshelf.open(tmp_path / "a.shelf", codec="json") as shelf:
        shelf["k"] = {"b": [1, 2.5, "é"], "a": 10**30}
    out, _ = sh("coshelf get a.shelf k")
    assert out == '{"b":[1,2.5,"é"],"a":1000000000000000000000000000000}\n'
    sh("coshelf get a.shelf k | coshelf set a.shelf again --json -")
    assert sh("coshelf get a.shelf again")[0] == out
    _, error = sh("coshelf set a.shelf k --literal '(1, 2)'", 3)
    assert "tuple would come back as list" in error
    _, error = sh("coshelf set a.shelf k --pickle < a.shelf", 2)
    assert sh("coshelf get a.shelf k")[0] == out


def test_values_are_told_without_a_secret_and_read_with_it(sh, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(SECRET)
    with coshelf.open(tmp_path / "a.shelf", codec="json", compress="zstd", encrypt=SECRET) as shelf:
        shelf["k"] = ["again and again"] * 20
    for line in ("ls", "ls -l", "ls --json", "info", "stats", "check", "get --preview"):
        command, *options = line.split()
        out, _ = sh(f"coshelf {command} a.shelf {'k' if command == 'get' else ''} {' '.join(options)}")
        assert "again" not in out
    info = json.loads(sh("coshelf info a.shelf --json")[0])
    assert (info["codec"], info["compression"]) == ("json", "zstd (level 3)")
    assert info["encryption"] in sh("coshelf info a.shelf")[0]
    for line in ("get a.shelf k", "set a.shelf k v", "edit a.shelf k"):
        _, error = sh(f"EDITOR=true coshelf {line}", 3)
        assert f"encrypted with the key {info['encryption']}" in error
    out, _ = sh("coshelf get a.shelf k --encrypt-with secret")
    assert json.loads(out) == ["again and again"] * 20
    sh("coshelf set a.shelf new value --encrypt-with secret")
    assert sh("coshelf get a.shelf new --encrypt-with secret")[0] == '"value"\n'
    sh("EDITOR=true coshelf edit a.shelf new --encrypt-with secret")
    sh("coshelf backup a.shelf b.shelf && coshelf compact a.shelf && coshelf del a.shelf new")
    assert sh("coshelf get b.shelf new --encrypt-with secret")[0] == '"value"\n'
    assert SECRET not in (tmp_path / "a.shelf").read_bytes()


def test_pickle_of_what_is_none_is_refused_and_export_reports_it(sh, tmp_path: Path) -> None:
    with coshelf.open(tmp_path / "a.shelf", codec="msgspec") as shelf:
        shelf["k"] = [1]
    assert "not a plain pickle, but msgspec" in sh("coshelf get a.shelf k --pickle", 3)[1]
    assert "the record is not a pickle, but msgspec" in sh("coshelf get a.shelf k --opcodes", 2)[1]
    assert "1 failed" in sh("coshelf export a.shelf out.jsonl", 1)[1]
    assert sh("coshelf get a.shelf k")[0] == "[1]\n"


@pytest.mark.parametrize("codec", ["pickle", "json"])
def test_get_reads_an_entry_once(
    codec: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    with coshelf.open(tmp_path / "a.shelf", codec=codec) as shelf:
        shelf["a"] = [1, 2]
    read: list[bytes] = []
    record = LmdbEngine.record

    def counted(engine: LmdbEngine, key: bytes) -> bytes | None:
        read.append(key)
        return record(engine, key)

    monkeypatch.setattr(LmdbEngine, "record", counted)
    get_command.main([str(tmp_path / "a.shelf"), "a"], standalone_mode=False)
    assert json.loads(capfdbinary.readouterr().out) == [1, 2]
    assert read.count(encode("a")) == 1


@pytest.mark.parametrize("kind", [list, tuple])
def test_value_whose_text_has_no_end_is_refused(sh, tmp_path: Path, kind: type) -> None:
    value: Any = kind()
    for _ in range(64):
        value = kind((value, value))
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        shelf["small"] = value
    for command in ("get a.shelf small", "edit a.shelf small"):
        _, error = sh(f"EDITOR=true coshelf {command}", 2)
        assert "the value holds the same parts millions of times" in error
    assert sh("coshelf get a.shelf small --preview")[0]
