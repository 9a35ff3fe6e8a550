"""The pages work without JavaScript, with any shelf, and are small."""

from __future__ import annotations

import gc
import os
import re
import sys
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from visiting import Visitor, entry, visiting

import coshelf
from coshelf import viewer
from coshelf.keys import encode
from coshelf.mapping.living import Living
from coshelf.viewer.keys.rows import rows_of_keys
from coshelf.viewer.keys.searching import search_of
from coshelf.viewer.values.pictures import png

LARGEST_FIRST_SCREEN = 200_000  # bytes


def weight(visitor: Visitor, paths: list[str]) -> int:
    """Bytes of the answers to what a browser asks for, with the modules that are imported."""
    seen: set[str] = set()
    total, waiting = 0, list(paths)
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        answer = visitor.get(path)
        assert answer.status == 200, path
        total += len(answer.body)
        waiting += re.findall(r'(?:src|href)="(/static/[^"]+)"', answer.text)
        waiting += [f"/static/{name}" for name in re.findall(r'from "\./([^"]+)"', answer.text)]
    assert sum(path.startswith("/static/") for path in seen) >= 5
    return total


@pytest.fixture(scope="module")
def many():
    with coshelf.open("memory:") as shelf:
        shelf.update(
            {f"k{number:06}": {"name": f"user {number}", "roles": ["a", "b"] * 20} for number in range(20_000)}
        )
        with visiting(shelf) as found:
            yield found


def test_first_screen_of_many_keys_is_small(many) -> None:
    assert weight(many, ["/", "/data/rows?branch=&block=0"]) < LARGEST_FIRST_SCREEN


def test_lists_lead_through_all_keys_page_by_page(many) -> None:
    path, seen = "/", 0
    for _ in range(3):
        page = many.get(path).page
        links = [link for link in page.links if link.startswith("/entry/")]
        assert links[0] == entry(f"k{seen:06}")
        seen += len(links)
        path = "/" + next(link for link in page.links if "from=" in link)
    assert seen == 300
    last = many.get("/" + path[1:].partition("from=")[0] + "from=" + entry("k019990").removeprefix("/entry/")).page
    assert [link for link in last.links if "from=" in link] == []
    assert sum(link.startswith("/entry/") for link in last.links) == 10


def test_any_block_of_rows_can_be_asked_for_once_it_is_known(many) -> None:
    found: Any = {"complete": False}
    while not found["complete"]:
        found = many.get("/data/rows?branch=&block=150").json
    assert found["count"] == 20_000
    assert [row["name"] for row in many.get("/data/rows?branch=&block=150").json["rows"]] == [
        f"k{number:06}" for number in range(15_000, 15_100)
    ]
    assert many.get("/data/rows?branch=&block=999").json["rows"] == []
    place = entry("k015050").removeprefix("/entry/")
    assert many.get(f"/data/place?key={place}&entry=1").json == {"rows": [15_050]}


def test_search_finds_by_prefix_glob_and_range(many) -> None:
    def found(query: str) -> list[str]:
        page = many.get(f"/search?{query}").page
        return [link for link in page.links if link.startswith("/entry/")]

    assert found("text=k01999") == [entry(f"k01999{number}") for number in range(10)]
    assert found("way=glob&text=k0?5555") == [entry("k005555"), entry("k015555")]
    assert found("way=range&start=k000003&stop=k000005") == [entry("k000003"), entry("k000004")]
    assert len(found("way=range&start=k000003")) == 100
    assert found("text=x") == []
    page = many.get("/search?text=k").page
    onward = next(link for link in page.links if "from=" in link)
    assert many.get(onward).page.links[-1] != page.links[-1]
    assert entry("k000100") in many.get(onward).page.links


def test_search_stops_when_a_person_would_not_wait_any_longer(monkeypatch) -> None:
    with coshelf.open("memory:") as shelf:
        shelf.update(dict.fromkeys((f"k{number:05}" for number in range(3_000)), 1))
        engine = shelf.engine_for("tests")
        monkeypatch.setattr("coshelf.viewer.keys.searching._PATIENCE", -1.0)
        search = search_of("glob", "*999")
        start, seen, pages = None, [], 0
        while True:
            found = search.page(engine, start)
            pages += 1
            seen += found.keys
            if found.onward is None:
                break
            assert found.looked == 500
            start = found.onward
        assert [key.decode()[1:] for key in seen] == ["k00999", "k01999", "k02999"]
        assert pages > 3


@pytest.mark.parametrize(
    ("way", "text", "start", "stop", "found"),
    [
        ("prefix", "('a', 1)", "", "", [("a", 1), ("a", 1, 2)]),
        ("prefix", "b'x'", "", "", [b"xy"]),
        ("prefix", "'1'", "", "", ["15"]),
        ("prefix", "1", "", "", ["15"]),
        ("prefix", "", "", "", ["15", "a", "a/b"]),
        ("range", "", "5", "", [5, 15, "15", "a", "a/b", b"xy", ("a", 1), ("a", 1, 2)]),
        ("range", "", "5", "'a'", [5, 15, "15"]),
        ("glob", "*", "", "", ["15", "a"]),
        ("glob", "", "", "", ["15", "a", "a/b"]),
    ],
)
def test_what_is_typed_is_a_text_or_a_literal(way: str, text: str, start: str, stop: str, found: list[Any]) -> None:
    with coshelf.open("memory:") as shelf:
        shelf.update(dict.fromkeys([5, 15, "15", "a", "a/b", b"xy", ("a", 1), ("a", 1, 2)], 1))
        page = search_of(way, text, start, stop).page(shelf.engine_for("tests"))
        assert page.keys == [encode(key) for key in found]


def test_wrong_search_is_explained() -> None:
    with coshelf.open("memory:") as shelf, visiting(shelf) as visitor:
        answer = visitor.get("/search?way=glob&text=" + "%5B")
        assert answer.status in (200, 400)
        assert visitor.get("/search?way=nothing&text=a").status == 200


def test_branches_have_sizes_that_are_counted_in_the_background() -> None:
    with coshelf.open("memory:") as shelf:
        shelf.update({f"a/{number}": "x" * 50 for number in range(300)})
        with visiting(shelf) as visitor:
            (row,) = visitor.get("/data/rows").json["rows"]
            found: Any = {"complete": False}
            while not found["complete"]:
                found = visitor.get(f"/data/measures?branch={row['address']}").json[row["address"]]
            assert found["entries"] == 300
            assert found["size"] > 300 * 50
            assert "300 entries" in visitor.get("/").page.text  # without JavaScript, too


def test_pages_name_what_is_gone_and_what_never_was(many) -> None:
    for path in (entry("nothing"), "/entry/!!", "/keys/!!", "/nothing", entry("k000001", "/picture"), "/entry/AQ"):
        answer = many.get(path)
        assert answer.status == 404
        assert "Not found" in answer.page.text
    assert many.get("/data/rows?branch=!!").json == {"problem": "this is not the address of a key"}
    assert many.get("/new").status == 403


def test_picture_and_thumbnail_have_fixed_types() -> None:
    with coshelf.open("memory:") as shelf:
        shelf.update({"p": png([b"\0\xff"], 2, 1), "a": np.eye(20), "s": b"<svg xmlns='http://www.w3.org/2000/svg'/>"})
        with visiting(shelf) as visitor:
            answer = visitor.get(entry("p", "/picture"))
            assert (answer.headers["content-type"], answer.body) == ("image/png", shelf["p"])
            answer = visitor.get(entry("a", "/thumbnail"))
            assert answer.headers["content-type"] == "image/png"
            assert answer.body.startswith(b"\x89PNG")
            assert visitor.get(entry("s", "/picture")).status == 404
            assert "img" not in [tag for tag, _ in visitor.get(entry("s")).page.elements]


@pytest.mark.parametrize(
    ("value", "name", "body"),
    [("text\n", "k.txt", b"text\n"), (b"\x00", "k.bin", b"\x00"), ([1], "k.pickle", None)],
)
def test_download_is_the_value(value: Any, name: str, body: bytes | None) -> None:
    with coshelf.open("memory:") as shelf:
        shelf["k"] = value
        with visiting(shelf) as visitor:
            answer = visitor.get(entry("k", "/download"))
            assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
            assert answer.body == (shelf.record("k").payload() if body is None else body)


def test_damaged_entry_is_told_in_its_row_and_the_others_are_shown(tmp_path) -> None:
    with coshelf.open(f"sqlite:{tmp_path}/a.db") as shelf:
        shelf.update({"bad": "x" * 100, "good": "fine"})
    damage(tmp_path / "a.db")
    with coshelf.open(f"sqlite:{tmp_path}/a.db", "r") as shelf, visiting(shelf) as visitor:
        answer = visitor.get("/")
        assert answer.status == 200
        assert "damaged" in answer.page.text
        assert "fine" in answer.page.text
        answer = visitor.get(entry("bad"))
        assert answer.status == 200
        assert "damaged" in answer.page.text.lower()
        assert [row["type"] for row in visitor.get("/data/rows").json["rows"]] == ["damaged", "str"]
        for rest in ("?view=hex", "?view=instructions", "/download"):
            assert visitor.get(entry("bad", rest)).status < 500


def damage(path: Any) -> None:
    """Change a byte of the value of 100 times x."""
    data = bytearray(path.read_bytes())
    at = data.index(b"x" * 100) + 50
    data[at] ^= 1
    path.write_bytes(data)


def test_closed_shelf_is_a_page_and_not_a_traceback() -> None:
    shelf = coshelf.open("memory:")
    shelf["k"] = 1
    with visiting(shelf) as visitor:
        assert visitor.get("/").status == 200
        shelf.close()
        for path in ("/", entry("k"), "/search?text=a", entry("k", "/download")):
            answer = visitor.get(path)
            assert answer.status == 503
            assert "The shelf is closed" in answer.page.text
        assert visitor.get("/data/rows").status == 503
        assert "problem" in visitor.get("/data/measures?branch=").json


def test_file_of_others_that_can_only_be_read_is_shown(tmp_path) -> None:
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        shelf["k"] = [1]
    os.chmod(tmp_path / "a.shelf", 0o400)
    with coshelf.open(tmp_path / "a.shelf", "r") as shelf, visiting(shelf) as visitor:
        assert visitor.get("/").status == visitor.get(entry("k")).status == 200


@pytest.mark.parametrize("engine", ["sqlite:{}/a.db", "files:{}/a", "{}/a.shelf"])
def test_every_engine_is_shown(tmp_path, engine: str) -> None:
    with coshelf.open(engine.format(tmp_path)) as shelf:
        shelf.update({"a/b": 1, "c": "text"})
        with visiting(shelf) as visitor:
            assert "a/" in visitor.get("/").page.text
            assert visitor.get(entry("a/b")).status == 200
            assert [row["name"] for row in visitor.get("/data/rows").json["rows"]] == ["a/", "c"]


def test_part_of_a_shelf_is_refused() -> None:
    with (
        coshelf.open("memory:") as shelf,
        pytest.raises(coshelf.Unsupported, match="whole shelf"),
        viewer.serving(shelf.sub("a")),
    ):
        pass


def test_two_viewers_and_a_writer_see_one_shelf(tmp_path) -> None:
    with coshelf.open(tmp_path / "a.shelf") as shelf, visiting(shelf) as one, visiting(shelf, write=True) as other:
        shelf["k"] = 1
        other.submit(entry("k", "/edit"), entry("k", "/edit"), text="2")
        assert "2" in one.get(entry("k")).page.text
        assert "can write" in other.get("/").page.text


def test_port_that_is_in_use_is_an_error_of_the_system() -> None:
    with coshelf.open("memory:") as shelf, viewer.serving(shelf) as start:
        port = int(start.partition("127.0.0.1:")[2].partition("/")[0])
        with (
            pytest.raises(OSError, match=f"port {port} of 127.0.0.1 cannot be used: Address already in use"),
            viewer.serving(shelf, port=port),
        ):
            pass


def test_viewer_ends_with_its_block_though_a_browser_is_connected() -> None:
    with coshelf.open("memory:") as shelf:
        with visiting(shelf) as visitor:
            assert visitor.get("/").status == 200
        with pytest.raises(OSError):
            Visitor(visitor.start)


def test_viewer_goes_on_without_a_block_until_it_is_closed() -> None:
    with coshelf.open("memory:") as shelf:
        viewing = viewer.serving(shelf)
        visitor = Visitor(viewing.address)
        assert visitor.get("/").status == 200
        assert viewing.address in repr(viewing)
        assert f'<a href="{viewing.address}"' in viewing._repr_html_()
        visitor.close()
        viewing.close()
        viewing.close()
        with pytest.raises(OSError):
            Visitor(viewing.address)


def test_viewer_goes_on_though_the_program_has_dropped_it() -> None:
    with coshelf.open("memory:") as shelf:
        viewing = viewer.serving(shelf)
        address, dropped = viewing.address, weakref.ref(viewing)
        del viewing
        gc.collect()
        visitor = Visitor(address)
        assert visitor.get("/").status == 200
        visitor.close()
        found = dropped()
        assert found is not None
        found.close()


def test_missing_package_is_told_with_the_extra_that_has_it(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with (
        coshelf.open("memory:") as shelf,
        pytest.raises(coshelf.MissingExtra, match=r"pip install 'coshelf\[viewer\]'"),
    ):
        viewer.serve(shelf)


def test_long_keys_are_cut_in_lists() -> None:
    with coshelf.open("memory:") as shelf:
        shelf.update({"k" * 5_000: 1, f"{'b' * 5_000}/x": 2})
        with visiting(shelf) as visitor:
            assert all(len(row["name"]) == 300 for row in visitor.get("/data/rows").json["rows"])
            assert visitor.get(entry("k" * 5_000)).status == 200
            assert visitor.get(entry(f"{'b' * 5_000}/x")).status == 200


def test_large_values_are_not_read_all_at_once() -> None:
    with coshelf.open("memory:") as shelf:
        shelf.update(dict.fromkeys(range(12), b"x" * 3000000))
        engine = shelf.engine_for("tests")
        read = []

        class Watched(Living):
            def get_many(self, keys):
                read.append(len(keys))
                return super().get_many(keys)

        rows = rows_of_keys(Watched(engine, engine.cutoff), [encode(number) for number in range(12)])
        assert len(rows) == 12
        assert read == [4, 2, 2, 2, 2]


def test_every_engine_without_snapshots_of_its_own_is_shown_from_a_mapping() -> None:
    with coshelf.open({}) as shelf:
        shelf["a"] = 1
        with visiting(shelf) as visitor:
            assert visitor.get(entry("a")).status == 200


@pytest.mark.long
def test_first_screen_of_a_million_keys_is_small_and_reads_few_of_them(tmp_path) -> None:
    """Long: it makes a million keys. docs/viewer.md has the times."""
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        shelf.update({f"k{number:07}": number for number in range(1_000_000)})
        with visiting(shelf) as visitor:
            assert weight(visitor, ["/", "/data/rows?branch=&block=0"]) < LARGEST_FIRST_SCREEN
            found: Any = {"complete": False}
            while not found["complete"]:
                found = visitor.get("/data/rows?branch=&block=9999").json
            assert found["count"] == 1_000_000
            assert found["rows"][-1]["name"] == "k0999999"


def test_example_of_the_page_about_the_viewer_runs(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    page = (Path(__file__).parents[2] / "docs" / "viewer.md").read_text()
    (block,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    exec(compile(block, "viewer.md", "exec"), {})
    assert capsys.readouterr().out.startswith("http://127.0.0.1:")
