"""Nothing of a hostile key or value becomes markup, a header, a file name or an address of another site."""

from __future__ import annotations

import collections
import json
import re
import shutil
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from visiting import Answer, Page, address, entry, visiting

import coshelf
from coshelf.screen import is_plain
from coshelf.viewer.texts import short
from coshelf.viewer.values.entries import face_of_value
from coshelf.viewer.web.files import file_name

MARK = "ownedmark"
TEXTS = [
    f"<script>{MARK}()</script>",
    f'"><img src=x onerror={MARK}()>',
    f"'><svg onload='{MARK}()'>",
    f"</textarea></pre></title><iframe srcdoc={MARK}>",
    f"javascript:{MARK}()",
    f"{{{{ {MARK} }}}}{{% {MARK} %}}",
    f"\u202e<{MARK}>\u2066\x1b[2J\x9b\r\nSet-Cookie: {MARK}=1\r\n\r\n",
    f"-->]]><{MARK} onclick={MARK}>&lt;{MARK}&#60;{MARK}",
    f"../../../{MARK}\0.html",
    f"\ud800<{MARK}>",
    f"//{MARK}.example/..\\",
]
KEYS: list[Any] = [*TEXTS, *((text, 1) for text in TEXTS), *(text.encode("utf-8", "replace") for text in TEXTS[:3])]
VALUES: list[Any] = [
    *TEXTS,
    dict(zip(TEXTS, TEXTS, strict=True)),
    [{text: text for text in TEXTS[:4]}] * 3,
    [TEXTS[:3], TEXTS[3:6]],
    TEXTS[0].encode(),
    collections.OrderedDict.fromkeys(TEXTS[:2]),
    f"first\n{TEXTS[0]}\n" * 5,
]


@pytest.fixture(scope="module")
def visitor():
    with coshelf.open("memory:") as shelf:
        for number, value in enumerate(VALUES):
            shelf[("values", number)] = value
        for key in KEYS:
            shelf.set(key, key if isinstance(key, str) else [key], tags=(TEXTS[0], TEXTS[2]), expire=3_600)
        engine = shelf.engine_for("tests")
        # A pickle that names what it has no right to, in words that would be markup.
        name = f"<{MARK}>".encode()
        engine.put(coshelf.keys.encode("pickle"), b"\x80\x05\x8c" + bytes([len(name)]) + name + b"\x8c\x01x\x93.")
        with visiting(shelf, write=True) as found:
            yield found


def verify(page: Page) -> None:
    """All elements and attributes of a page are those of its templates."""
    for tag, attributes in page.elements:
        assert MARK not in tag
        assert tag not in ("iframe", "object", "embed", "base", "style", "noscript")
        assert [name for name in attributes if name.startswith("on") or name in ("style", "srcdoc")] == []
        for name, value in attributes.items():
            assert MARK not in name
            if name in ("href", "src", "action") and value:
                assert value.startswith(("/", "?", "#")), value
                assert not value.startswith("//")
        if tag == "script":
            assert attributes in [{"type": "module", "src": f"/static/{name}.js"} for name in ("viewer", "live")]
        if tag == "meta":
            assert "http-equiv" not in attributes
    ends = page.source.rstrip()[-7:]
    assert ends == "</html>"


@pytest.fixture(scope="module")
def answers(visitor) -> dict[str, Answer]:
    """The pages of all keys and branches, by their paths."""
    found: dict[str, Answer] = {}
    waiting = ["/"]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found[path] = visitor.get(path)
        if path == "/" or path.startswith("/keys/"):
            links = found[path].page.links
            waiting += [link for link in links if link.startswith(("/keys/", "/entry/"))]
            waiting += [path.partition("?")[0] + link for link in links if link.startswith("?from=")]
    return found


def test_every_page_has_the_elements_of_its_template_and_no_others(visitor, answers) -> None:
    entries = [path for path in answers if path.startswith("/entry/")]
    assert len(entries) == len(VALUES) + len(KEYS) + 1
    assert len(answers) > len(entries) + 5
    for answer in answers.values():
        assert answer.status == 200
        verify(answer.page)
    for path in entries:
        for rest in ("?view=hex", "?view=hex&part=record", "?view=instructions", "/edit"):
            answer = visitor.get(path + rest)
            assert answer.status in ((200, 404) if rest == "/edit" else (200,))
            verify(answer.page)


def test_searches_and_errors_show_what_was_typed_as_text(visitor) -> None:
    for text in TEXTS:
        typed = quote(text.encode("utf-8", "replace"))
        for path in (
            f"/search?text={typed}", f"/search?way=glob&text={typed}", f"/search?way=range&start={typed}&stop={typed}",
            f"/search?way={typed}", f"/search?text=a&from={typed}", f"/keys/{typed}", f"/entry/{typed}", f"/{typed}",
            f"/new?key={typed}", f"/?undo={typed}", f"/entry/MGE?view={typed}&part={typed}&from={typed}",
        ):  # fmt: skip
            answer = visitor.get(path)
            assert answer.status < 500
            if answer.headers["content-type"].startswith("text/html"):
                verify(answer.page)
            else:
                assert answer.headers["content-type"].startswith("text/plain")


def test_forms_show_what_was_typed_as_text(visitor) -> None:
    fields = visitor.get("/new").page.fields("/new")
    for text in TEXTS:
        clean = text.encode("utf-8", "replace").decode()
        for key_form in ("auto", "text", "literal"):
            answer = visitor.post("/new", fields | {"key": clean, "key_form": key_form, "form": "json", "text": clean})
            assert answer.status == 422
            verify(answer.page)
        answer = visitor.post(entry("pickle", "/edit"), fields | {"version": clean, "form": "text", "text": clean})
        assert answer.status == 409
        verify(answer.page)
        answer = visitor.post("/upload", fields | {"key": clean, "key_form": clean}, file=("x", b"x"))
        assert answer.status == 422
        verify(answer.page)


def test_headers_and_names_of_downloads_have_nothing_of_a_key(visitor) -> None:
    for key in KEYS:
        answer = visitor.get(entry(key, "/download"))
        assert answer.status == 200
        assert answer.headers["set-cookie"] is None
        assert answer.headers["content-type"] == "application/octet-stream"
        assert re.fullmatch(r'attachment; filename="[A-Za-z0-9][A-Za-z0-9._-]*"', answer.headers["content-disposition"])


@pytest.mark.parametrize(
    "key", ["", ".", "..", "...", ".bashrc", "a" * 500, "\u202egpj.exe", "con\0", "a\r\nb", '"', "/"]
)
def test_file_name_is_ordinary(key: str) -> None:
    name = file_name(key, ".bin")
    assert re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,90}\.bin", name)
    assert ".." not in name


def test_data_for_the_tree_is_json_that_no_browser_takes_for_a_page(visitor) -> None:
    answer = visitor.get("/data/rows?branch=&block=0")
    assert answer.headers["content-type"] == "application/json"
    rows = answer.json["rows"]
    assert all(is_plain(row["name"]) and is_plain(row["text"]) and is_plain(row["type"]) for row in rows)
    assert json.loads(answer.body)["complete"] is True


def test_pages_have_no_character_that_moves_or_hides_others(answers) -> None:
    for path, answer in answers.items():
        assert is_plain("".join(answer.page.pieces).replace("\n", "").replace("\t", "")), path


def test_pickle_in_a_value_is_never_run_by_looking(tmp_path) -> None:
    proof = tmp_path / "proof"
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        shelf.engine_for("tests").put(
            coshelf.keys.encode("k"), f"\x80\x02cos\nsystem\n(S'touch {proof}'\ntR.".encode("latin-1")
        )
        with visiting(shelf, write=True) as found:
            for rest in ("", "?view=hex", "?view=instructions", "/download", "/picture", "/thumbnail", "/edit"):
                assert found.get(entry("k", rest)).status < 500
            assert found.get("/").status == found.get("/data/rows").status == 200
            assert found.get(entry("k")).page.fields(entry("k", "/load"))  # it is the user's own shelf
    shutil.copy(tmp_path / "a.shelf", tmp_path / "copy.shelf")
    with coshelf.open(tmp_path / "copy.shelf") as shelf, visiting(shelf, write=True) as found:
        page = found.get(entry("k")).page
        assert "The shelf is not trusted" in page.text
        assert page.fields(entry("k", "/load")) == {}
        assert found.post(entry("k", "/load"), found.get("/new").page.fields("/new")).status == 403
    assert not proof.exists()


def test_addresses_of_all_kinds_of_keys_lead_to_their_entries() -> None:
    keys = [None, -1, 1.5, float("inf"), "", "\0", b"", b"\xff", (), ((),), ("a", (b"\0", None)), "a/", "/", 10**30]
    with coshelf.open("memory:") as shelf:
        shelf.update({key: f"value {number}" for number, key in enumerate(keys)})
        with visiting(shelf) as found:
            for number, key in enumerate(keys):
                answer = found.get(f"/entry/{address(key)}")
                assert answer.status == 200
                assert f"value {number}" in answer.page.text


@pytest.mark.parametrize("kind", ["list", "dict", "itself"])
def test_small_pickle_that_would_be_endless_text_is_shown_at_once(kind: str) -> None:
    value: Any = "x"
    for _ in range(64):  # 2 ** 64 texts
        value = [value, value] if kind == "list" else {"a": value, "b": value}
    if kind == "itself":
        value = [None] * 100_000
        value.append(value)
    with coshelf.open("memory:") as shelf, visiting(shelf, write=True) as found:
        shelf["k"] = value
        answer = found.get(entry("k"))
        assert answer.status == 200
        assert entry("k", "/edit") not in answer.page.links
        assert found.get(entry("k", "/edit")).status == 404


class Leaf:
    """Counts how often it is written."""

    written = 0

    def __repr__(self) -> str:
        Leaf.written += 1
        return "leaf"


def doubled() -> Any:
    """A list with 16,384 leaves, made of 14 lists."""
    value: Any = Leaf()
    for _ in range(14):
        value = [value, value]
    return value


def in_an_array(dtype: Any) -> Any:
    made = np.zeros(2, dtype)
    column = made if made.dtype.names is None else made["a"]
    column[0] = doubled()
    return made


@pytest.mark.parametrize(
    "make",
    [
        lambda: collections.OrderedDict(a=doubled()),
        lambda: collections.defaultdict(list, {1: doubled()}),
        lambda: collections.deque([doubled()]),
        lambda: collections.UserList([doubled()]),
        lambda: collections.ChainMap({1: doubled()}),
        lambda: SimpleNamespace(a=doubled()),
        lambda: ValueError(doubled()),
        lambda: slice(doubled(), 1),
        lambda: in_an_array(object),
        lambda: in_an_array([("a", object), ("b", int)]),
    ],
)
def test_plain_data_of_every_type_is_written_in_part(make: Any) -> None:
    for value in (make(), [make()], [(1, make())] * 3, [{"a": make()}] * 3, {"k": [make()]}):
        Leaf.written = 0
        assert len(short(value)) < 500
        face_of_value(value)
        assert Leaf.written < 3_000


def test_large_dict_in_many_places_is_shown_in_part() -> None:
    class Key(str):
        __slots__ = ()

        def __lt__(self, other: object) -> bool:
            raise AssertionError  # nothing is sorted

    large = {Key(number): number for number in range(1_000)}
    assert short(large).count(": ") == 6
    assert short(set(large)).endswith(", ...}")
    assert short(frozenset(large)).startswith("frozenset({")
    assert short([large] * 9).startswith("[{'0': 0, ")
    assert short(b"x" * 1_000) == f"{b'x' * 120!r}"[:119] + "…"


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"a": {1: {2: {}}}},
        set(),
        {1},
        frozenset(),
        frozenset({(1,)}),
        b"",
        b"\xff",
        bytearray(b"a"),
        slice(1, None),
    ],
)
def test_short_value_is_written_as_python_writes_it(value: Any) -> None:
    assert short(value) == repr(value)
