"""A shelf remembers how its values are written; opening it otherwise says so, and nothing is lost."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from values_support import KEY, OTHER, SMALL, User, body_of, plant, run

import coshelf
from coshelf import dbm as coshelf_dbm
from coshelf import records, shelve
from coshelf.opening import open_with_codec
from coshelf.values.front_doors import RAW_PICKLES

SCRIPTS = Path(__file__).parent / "scripts" / "remembering"

CODECS = ["msgspec", "json", "bytes", "str"]

READ = SCRIPTS / "reads_types.py"


@pytest.mark.parametrize("codec", CODECS)
def test_other_processes_write_as_the_shelf_remembers(path: Path, codec: Any) -> None:
    with coshelf.open(path, codec=codec, compress=coshelf.Zstd(7)) as shelf:
        shelf["k"] = SMALL[codec]
        told = run(READ, path).splitlines()
        assert told == [f"{SMALL[codec]!r} {codec} zstd (level 7)", codec]
        assert shelf["there"] == SMALL[codec]


@pytest.mark.parametrize(
    "asked",
    [{"codec": "msgspec"}, {"codec": "pickle"}, {"compress": False}, {"compress": coshelf.Zstd(4)}, {"encrypt": KEY}],
    ids=str,
)
def test_opening_otherwise_says_what_there_is_and_changes_nothing(path: Path, asked: Any) -> None:
    with coshelf.open(path, codec="json", compress="zstd") as shelf:
        shelf["k"] = [1]
        row = shelf._handle.engine.get(b"\x01values").record
    with pytest.raises(coshelf.CodecMismatch, match=r"codec 'json', compression zstd \(level 3\).*\n.*recode=True"):
        coshelf.open(path, **asked)
    for same in ({}, {"codec": "json"}, {"compress": "zstd"}, {"compress": coshelf.Zstd(3)}, {"type": list[int]}):
        with coshelf.open(path, **same) as shelf:  # type: ignore[arg-type]
            assert shelf["k"] == [1]
            assert shelf._handle.engine.get(b"\x01values").record == row


def test_shelf_with_entries_and_no_settings_has_pickles(path: Path) -> None:
    coshelf.open(path).close()
    with coshelf.open(path, codec="json"):  # it was empty
        pass
    with coshelf.open(path.with_name("b"), flag="c") as shelf:
        shelf["k"] = {1, 2}
    for asked in ({"codec": "json"}, {"type": int}, {"compress": "zstd"}, {"encrypt": KEY}):
        for flag in ("c", "w", "r"):
            with pytest.raises(coshelf.CodecMismatch, match="'pickle', no compression, no encryption"):
                coshelf.open(path.with_name("b"), flag, **asked)  # type: ignore[arg-type]
    with coshelf.open(path.with_name("b")) as shelf:
        assert shelf["k"] == {1, 2}


def test_recoding_keeps_what_is_there(path: Path) -> None:
    stored: dict[str, Any] = {}
    steps: list[dict[str, Any]] = [
        {},
        {"codec": "json"},
        {"compress": "zstd"},
        {"codec": "msgspec"},
        {"encrypt": KEY},
        {"codec": "bytes", "encrypt": KEY},
        {"compress": False, "encrypt": KEY},
        {"codec": "pickle", "encrypt": KEY},
    ]
    for number, step in enumerate(steps):
        with coshelf.open(path, recode=True, **step) as shelf:
            value = b"bytes " * 20 if shelf.info().codec == "bytes" else ["again and again"] * 20
            shelf[str(number)] = stored[str(number)] = value
            assert dict(shelf) == stored
    with coshelf.open(path, encrypt=KEY, trust=False) as shelf:
        assert dict(shelf) == stored
        said = [shelf.preview(key).stored_as for key in shelf]
    key_id = "fb6a8cdc"
    assert said == [
        *("pickle 5", "json", "zstd json", "zstd msgspec", f"encrypted ({key_id}) zstd msgspec"),
        *(f"encrypted ({key_id}) {codec}" for codec in ("zstd bytes", "bytes", "pickle")),
    ]


def test_recoding_does_not_work_read_only(path: Path) -> None:
    coshelf.open(path).close()
    with pytest.raises(coshelf.ReadOnlyShelf):
        coshelf.open(path, "r", codec="json", recode=True)


def test_who_opened_it_before_reads_what_is_written_another_way(path: Path) -> None:
    with coshelf.open(path) as before:
        before["pickle"] = [1]
        with coshelf.open(path, codec="json", compress="zstd", recode=True) as shelf:
            shelf["json"] = ["again and again"] * 20
            assert before["json"] == ["again and again"] * 20
            before["late"] = {1}
            assert shelf["late"] == {1}


def test_flag_n_starts_afresh(opened: Any, engine: str) -> None:
    if engine == "memory":
        return
    opened(codec="json", encrypt=KEY)["k"] = 1
    shelf = opened(flag="n")
    assert len(shelf) == 0
    shelf["k"] = {1}
    assert body_of(shelf, "k") == pickle.dumps({1}, 5)
    assert opened(flag="n", codec="str", encrypt=OTHER).info().codec == "str"


def test_two_that_open_a_new_shelf_at_the_same_time_agree_or_are_told(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from coshelf.values import settings

    look = settings.look
    answers = [True]

    def before(engine: Any) -> Any:
        found = look(engine)
        if answers:
            answers.clear()
            with coshelf.open(path, codec="msgspec"):
                pass
        return found

    monkeypatch.setattr(settings, "look", before)
    with pytest.raises(coshelf.CodecMismatch, match="'msgspec'"):
        coshelf.open(path, codec="json")


def test_untrusted_shelf_runs_nothing_whatever_its_codec_and_layers(path: Path) -> None:
    with coshelf.open(path, compress="zstd", encrypt=KEY) as shelf:
        shelf.update(plain=[1] * 100, mine=[Path, path] * 100)
    with coshelf.open(path, encrypt=KEY, trust=False) as shelf:
        assert shelf["plain"] == [1] * 100
        with pytest.raises(coshelf.UntrustedValue, match="trust=False was given"):
            shelf["mine"]
        plant(shelf, "old", pickle.dumps(print))
        with pytest.raises(coshelf.UntrustedValue, match="print"):
            shelf["old"]
    with coshelf.open(path, encrypt=KEY, trust=False, recode=True, codec="json") as shelf:
        shelf["k"] = [1]
        assert shelf["k"] == [1]


# --- what is damaged, or of a later version --------------------------------------------------------------------------


def headered(*headers: tuple[int, bytes], payload: bytes = b"") -> bytes:
    return records.write_headers(headers) + payload


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (headered((records.CODEC, b"\x09"), payload=b"x"), coshelf.FormatTooNew),
        (headered((records.CODEC, b"\x00"), payload=b"x"), coshelf.FormatTooNew),
        (headered((0x21, b""), payload=b"x"), coshelf.FormatTooNew),
        (headered((records.COMPRESSION, b"\x02" + bytes(12)), payload=b"x"), coshelf.FormatTooNew),
        (headered((records.COMPRESSION, b""), payload=b"x"), coshelf.FormatTooNew),
        (headered((records.COMPRESSION, b"\x01\0\0"), payload=b"x"), coshelf.UnreadableValue),
        (headered((records.COMPRESSION, b"\x01" + bytes(12)), payload=b"x"), coshelf.UnreadableValue),
        (headered((records.COMPRESSION, b"\x01\5\0\0\0" + bytes(8)), payload=b"x"), coshelf.UnreadableValue),
        (headered((records.COMPRESSION, b"\x01\0\0\0\0" + b"\xff" * 8), payload=b"x"), coshelf.UnreadableValue),
        (headered((records.ENCRYPTION, b"\x02" + bytes(16)), payload=b"x"), coshelf.FormatTooNew),
        (headered((records.ENCRYPTION, b"\x01"), payload=b"x"), coshelf.UnreadableValue),
        (headered((records.ENCRYPTION, b"\x01" + bytes(16)), payload=b"x"), coshelf.WrongKey),
        (headered((records.CODEC, b"\x01"), payload=b"\xdd\xff\xff\xff\xff"), coshelf.UnreadableValue),
        (headered((records.CODEC, b"\x01"), payload=b"\x91" * 5_000), coshelf.UnreadableValue),
        (headered((records.CODEC, b"\x01"), payload=b"\xa2\xff\xff"), coshelf.UnreadableValue),
        (headered((records.CODEC, b"\x01")), coshelf.UnreadableValue),
        (headered((records.CODEC, b"\x02"), payload=b"[" * 100_000), coshelf.UnreadableValue),
        (headered((records.CODEC, b"\x02"), payload=b"NaN"), coshelf.UnreadableValue),
        (headered((records.CODEC, b"\x02"), payload=b"\xff"), coshelf.UnreadableValue),
        (headered((records.CODEC, b"\x02"), payload=b"9" * 5_000), coshelf.UnreadableValue),
        (headered((records.CODEC, b"\x04"), payload=b"\xff"), coshelf.UnreadableValue),
        (headered((records.COMPRESSION, b"\x01" + bytes(12)))[:-1], coshelf.UnreadableValue),
        (b"\x02\x30\xff\xff", coshelf.UnreadableValue),
        (b"\x02\x30", coshelf.UnreadableValue),
        (b"\x02", coshelf.UnreadableValue),
    ],
)
@pytest.mark.parametrize("options", [{}, {"codec": "json"}, {"type": User}], ids=str)
def test_what_cannot_be_decoded_is_an_error_of_ours_and_others_stay(options: Any, body: bytes, error: Any) -> None:
    with coshelf.open("memory:", **options) as shelf:
        shelf["good"] = good = User("x", 1) if "type" in options else [1]
        plant(shelf, "k", body)
        for read in (lambda: shelf["k"], lambda: list(shelf.items()), lambda: shelf.get_many(["k"])):
            with pytest.raises(error, match=r"'k'|dictionary"):
                read()
        assert shelf.preview("k").text is not None
        assert shelf["good"] == good
        del shelf["k"]


def test_bomb_gives_no_more_than_it_says(path: Path) -> None:
    from coshelf.system.extras import zstd

    bomb = zstd().compress(bytes(10_000_000), 19)
    with coshelf.open(path, codec="bytes") as shelf:
        for said in (100, 10_000_001, 2**63):
            header = (records.COMPRESSION, b"\x01" + bytes(4) + said.to_bytes(8, "little"))
            plant(shelf, "k", headered((records.CODEC, b"\x03"), header, payload=bomb))
            with pytest.raises(coshelf.UnreadableValue, match="'k'"):
                shelf["k"]
        assert len(bomb) < 2_000


@pytest.mark.parametrize("cut", [1, 10, 30])
def test_cut_compression_is_no_value(path: Path, cut: int) -> None:
    with coshelf.open(path, codec="str", compress="zstd") as shelf:
        shelf["k"] = "".join(map(str, range(1_000)))
        plant(shelf, "k", body_of(shelf, "k")[:-cut])
        with pytest.raises(coshelf.UnreadableValue, match="'k'"):
            shelf["k"]
        plant(shelf, "k", body_of(shelf, "k") + b"more")


@pytest.mark.parametrize("codec", ["json", "msgspec"])
def test_damage_of_large_and_small_values_is_damage(codec: Any) -> None:
    for options in ({}, {"compress": "zstd"}, {"encrypt": KEY}):
        mapping: dict[bytes, bytes] = {}
        with coshelf.open(mapping, codec=codec, **options) as shelf:  # type: ignore[arg-type]
            for size in (1, 50_000):
                shelf["k"] = [str(number) for number in range(size)]
                record = bytearray(mapping[b"0k"])
                at = len(record) // 2 if size == 1 else 60
                record[at] = 0xC0 if record[at] == 0xC1 else 0xC1  # neither is ever part of UTF-8
                mapping[b"0k"] = bytes(record)
                with pytest.raises(coshelf.DamagedRecord, match="'k'"):
                    shelf["k"]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"format": 2}, coshelf.FormatTooNew),
        ({"codec": "later"}, coshelf.FormatTooNew),
        ({"compress": "brotli"}, coshelf.FormatTooNew),
        ({"codec": None}, coshelf.FormatTooNew),
        ({"format": "x"}, coshelf.DamagedShelf),
        ({"compress": "zstd", "level": "x"}, coshelf.DamagedShelf),
        ({"key": "zz"}, coshelf.DamagedShelf),
        ({"dictionaries": 5}, coshelf.DamagedShelf),
    ],
    ids=str,
)
def test_settings_that_are_not_understood_keep_the_shelf_shut(path: Path, change: Any, error: Any) -> None:
    with coshelf.open(path, codec="json") as shelf:
        shelf["k"] = 1
        row = json.loads(shelf._handle.engine.get(b"\x01values").record[2 : -records.TRAILER])
        assert row == {"format": 1, "codec": "json"}
        shelf._handle.engine.put(b"\x01values", b"\x02\x00" + json.dumps(row | change).encode())
    with pytest.raises(error, match=str(path)):
        coshelf.open(path)
    with coshelf.open(path, "n") as shelf:
        shelf["k"] = 1


# --- other doors -----------------------------------------------------------------------------------------------------


def test_drop_in_modules_say_what_they_cannot_read_and_write_nothing_plain(path: Path) -> None:
    with coshelf.open(path, codec="json", encrypt=KEY) as shelf:
        shelf["k"] = "secret"
    for write in (lambda: shelve.open(str(path)), lambda: coshelf_dbm.open(str(path), "w")):
        with pytest.raises(coshelf.CodecMismatch, match=r"codec 'json'.*\n.*coshelf\.open"):
            write()
    with shelve.open(str(path), "r") as old, pytest.raises(coshelf.UnreadableValue, match=r"encrypted \(.*\) json"):
        old["k"]
    with (
        open_with_codec(path, "r", RAW_PICKLES) as raw,
        pytest.raises(coshelf.UnreadableValue, match=r"coshelf\.open"),
    ):
        raw["k"]
    with open_with_codec(path, "n", RAW_PICKLES) as raw:
        raw["k"] = pickle.dumps(1)
    with coshelf.open(path) as shelf:
        assert shelf["k"] == 1


def test_export_reports_what_it_cannot_take(path: Path, tmp_path: Path) -> None:
    from coshelf.transfer import export_entries, import_entries

    with coshelf.open(path) as shelf:
        shelf["plain"] = 1
    with coshelf.open(path, codec="json", recode=True) as shelf:
        shelf["other"] = 2
    report = export_entries(path, tmp_path / "a.jsonl")
    assert report.done == 1
    assert [(left.key, "json" in left.reason) for left in report.failed] == [("'other'", True)]
    with pytest.raises(coshelf.CodecMismatch):
        import_entries(tmp_path / "a.jsonl", path)


def test_backup_and_salvage_keep_settings(path: Path, tmp_path: Path) -> None:
    with coshelf.open(path, codec="json", compress="zstd", encrypt=KEY) as shelf:
        shelf["k"] = ["again and again"] * 20
        shelf.backup(tmp_path / "copy")
        info = shelf.info()
    coshelf.salvage(path, tmp_path / "salvaged")
    assert coshelf.check(path).ok
    for name in ("copy", "salvaged"):
        with coshelf.open(tmp_path / name, encrypt=KEY) as shelf:
            assert shelf["k"] == ["again and again"] * 20
            assert (shelf.info().codec, shelf.info().encryption) == (info.codec, info.encryption)


def test_pickled_shelf_opens_the_same_way(path: Path) -> None:
    with coshelf.open(path, type=User, compress="zstd") as shelf:
        shelf["k"] = User("Ann", 5)
        with pickle.loads(pickle.dumps(shelf)) as again:
            assert again["k"] == User("Ann", 5)


# --- extras ----------------------------------------------------------------------------------------------------------

BLOCKED = SCRIPTS / "blocked.py"


def test_missing_extra_is_said_before_anything_is_made(tmp_path: Path) -> None:
    hints = [f"hint: pip install 'coshelf[{extra}]'" for extra in ("msgspec", "msgspec", "msgspec", "zstd", "crypto")]
    assert run(BLOCKED, tmp_path, "a.shelf", "every kind").splitlines() == [*hints, "[]"]


def test_missing_extra_loses_nothing(path: Path) -> None:
    for options, extra in (
        ({"codec": "msgspec"}, "msgspec"),
        ({"codec": "str", "compress": "zstd"}, "zstd"),
        ({"codec": "str", "encrypt": KEY}, "crypto"),
    ):
        with coshelf.open(path, "n", **options) as shelf:  # type: ignore[arg-type]
            shelf["k"] = "again and again" * 20
        key = f"key {options.get('encrypt', b'').hex()}"  # type: ignore[attr-defined]
        assert run(BLOCKED, path.parent, path.name, key) == f"hint: pip install 'coshelf[{extra}]'\n"
        with coshelf.open(path, encrypt=options.get("encrypt", b"")) as shelf:  # type: ignore[arg-type]
            assert shelf["k"] == "again and again" * 20


def test_plain_shelves_import_nothing_of_it(path: Path) -> None:
    code = (
        "import sys, coshelf; shelf = coshelf.open(sys.argv[1]); shelf['a'] = 1; shelf['a']; "
        "print([name for name in ('msgspec', 'backports', 'cryptography', 'coshelf.values.layered') "
        "if name in sys.modules])"
    )
    assert run(code, path) == "[]\n"
