"""A person changes what the page showed, or nothing."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import numpy as np
import pytest
from visiting import Visitor, entry, visiting

import coshelf
from coshelf import viewer
from coshelf.viewer.editing import Changed, Editing, value_of_text, version_in_words
from coshelf.viewer.web.own_thread import in_own_thread


@pytest.fixture
def shelf(tmp_path):
    with coshelf.open(tmp_path / "a.shelf") as opened:
        yield opened


@pytest.fixture
def visitor(shelf):
    with visiting(shelf, write=True) as found:
        yield found


class NeverEnding:
    """Its pickle waits when it is loaded."""

    has_begun, is_over = threading.Event(), threading.Event()

    def __getstate__(self) -> Any:
        return {"a": 1}

    def __setstate__(self, state: Any) -> None:
        self.has_begun.set()
        self.is_over.wait(60)


@pytest.fixture
def never_ending():
    NeverEnding.has_begun.clear()
    NeverEnding.is_over.clear()
    yield NeverEnding()
    NeverEnding.is_over.set()


def edit(visitor: Any, key: Any, text: str) -> Any:
    return visitor.submit(entry(key, "/edit"), entry(key, "/edit"), text=text)


def undo_in(page: Any) -> str:
    """Where the form is sent that brings a deleted entry back."""
    (found,) = [
        attributes["action"]
        for tag, attributes in page.elements
        if tag == "form" and "/deleted/" in attributes["action"]
    ]
    return str(found)


def test_edited_value_is_stored(shelf, visitor) -> None:
    shelf.update({"a/text": "one", "json": {"a": 1}})
    answer = edit(visitor, "a/text", "two\r\nlines\r\n")
    assert answer.status == 200
    assert shelf["a/text"] == "two\nlines\n"
    edit(visitor, "json", '{"a": [1, 2.5, null, "ü"]}')
    assert shelf["json"] == {"a": [1, 2.5, None, "ü"]}


def test_form_shows_exactly_the_text(shelf, visitor) -> None:
    shelf["k"] = "\n two\nlines "
    page = visitor.get(entry("k", "/edit")).text
    # A browser leaves out the first line end of a textarea.
    assert '<textarea id="text" name="text" rows="20" spellcheck="false">\n\n two\nlines </textarea>' in page


def test_edit_keeps_time_and_tags(shelf, visitor) -> None:
    shelf.set("k", 1, expire=5_000, tags=("x",))
    expires = shelf.expires("k")
    edit(visitor, "k", "2")
    assert shelf["k"] == 2
    assert shelf.expires("k") == expires
    assert list(shelf.tagged("x")) == ["k"]


def test_value_of_another_process_stays_and_both_are_shown(shelf, visitor) -> None:
    shelf["k"] = {"a": 1}
    form = visitor.get(entry("k", "/edit")).page.fields(entry("k", "/edit"))
    shelf["k"] = {"theirs": 5}
    answer = visitor.post(entry("k", "/edit"), form | {"text": '{"mine": 7}'})
    assert answer.status == 409
    assert shelf["k"] == {"theirs": 5}
    assert "Nothing was overwritten" in answer.page.text
    assert "theirs" in answer.page.text
    assert "mine" in answer.page.text
    again = answer.page.fields(entry("k", "/edit"))
    assert visitor.post(entry("k", "/edit"), again | {"text": '{"mine": 7}'}).status == 200
    assert shelf["k"] == {"mine": 7}


def test_same_value_stored_again_is_a_change_too(shelf, visitor) -> None:
    shelf["k"] = 1
    form = visitor.get(entry("k", "/edit")).page.fields(entry("k", "/edit"))
    shelf["k"] = 1
    assert visitor.post(entry("k", "/edit"), form | {"text": "2"}).status == 409
    assert shelf["k"] == 1


def test_text_that_is_no_value_comes_back_and_nothing_is_stored(shelf, visitor) -> None:
    shelf["k"] = [1]
    for text in ("{", "", "NaN", "[1,]", "[" * 100_000):
        answer = edit(visitor, "k", text)
        assert answer.status == 422
        assert "Nothing was stored" in answer.page.text
        assert text[:50] in answer.text.replace("&#34;", '"')
    assert shelf["k"] == [1]


def test_deleted_entry_comes_back_byte_for_byte(shelf, visitor) -> None:
    shelf.set("a/k", {"x": [1]}, expire=5_000, tags=("t", "u"))
    record = shelf.record("a/k")
    answer = visitor.submit(entry("a/k"), entry("a/k", "/delete"))
    assert "a/k" not in shelf
    assert list(shelf.tagged("t")) == []
    undo = undo_in(answer.page)
    answer = visitor.post(undo, answer.page.fields(undo))
    assert answer.status == 200
    back = shelf.record("a/k")
    assert back.raw[:-12] == record.raw[:-12]
    assert (back.decode(), back.expires, back.tags) == ({"x": [1]}, record.expires, ("t", "u"))
    assert list(shelf.tagged("t")) == ["a/k"]
    assert visitor.post(undo, visitor.get("/new").page.fields("/new")).status == 404


def test_deleted_array_comes_back_with_its_buffers(shelf, visitor) -> None:
    shelf["k"] = np.arange(300_000.0)
    answer = visitor.submit(entry("k"), entry("k", "/delete"))
    assert "k" not in shelf
    undo = undo_in(answer.page)
    visitor.post(undo, answer.page.fields(undo))
    assert np.array_equal(shelf["k"], np.arange(300_000.0))


def test_undo_does_not_overwrite_what_was_stored_meanwhile(shelf, visitor) -> None:
    shelf["k"] = "old"
    answer = visitor.submit(entry("k"), entry("k", "/delete"))
    shelf["k"] = "new"
    undo = undo_in(answer.page)
    answer = visitor.post(undo, answer.page.fields(undo))
    assert answer.status == 409
    assert shelf["k"] == "new"


def test_entry_that_was_changed_meanwhile_is_not_deleted(shelf, visitor) -> None:
    shelf["k"] = 1
    form = visitor.get(entry("k")).page.fields(entry("k", "/delete"))
    shelf["k"] = 2
    assert visitor.post(entry("k", "/delete"), form).status == 409
    assert shelf["k"] == 2


def test_only_the_last_deleted_entries_are_kept(shelf) -> None:
    editing = Editing(shelf)
    names = []
    for number in range(30):
        shelf[number] = number
        record = shelf.record(number)
        names.append(editing.delete(coshelf.keys.encode(number), version_in_words(record.version)))
    kept = [name for name in names if editing.key_of_deleted(name) is not None]
    assert kept == names[-20:]
    with pytest.raises(KeyError):
        editing.restore(names[0])


@pytest.mark.parametrize(
    ("typed", "key_form", "key"),
    [
        ("a/b", "auto", "a/b"),
        ("15", "auto", 15),
        ("15", "text", "15"),
        ("('a', 1)", "literal", ("a", 1)),
        ("b'x'", "auto", b"x"),
    ],
)
def test_new_entry_has_the_key_that_was_typed(shelf, visitor, typed: str, key_form: str, key: Any) -> None:
    answer = visitor.submit("/new", "/new", key=typed, key_form=key_form, form="json", text="[1]")
    assert answer.status == 200
    assert dict(shelf) == {key: [1]}


def test_new_entry_does_not_overwrite_another(shelf, visitor) -> None:
    shelf["k"] = 1
    answer = visitor.submit("/new", "/new", key="k", key_form="text", form="text", text="x")
    assert answer.status == 409
    assert shelf["k"] == 1


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"key": ""}, "the key is missing"),
        ({"key": "[1]", "key_form": "literal"}, "cannot be of type list"),
        ({"key": "a b", "key_form": "literal"}, "not a Python literal"),
        ({"key": "k", "text": "{"}, "Expecting"),
        ({"key": "k", "form": "pickle"}, "as text or as JSON"),
    ],
)
def test_wrong_new_entry_is_explained_and_nothing_is_stored(
    shelf, visitor, fields: dict[str, str], problem: str
) -> None:
    answer = visitor.submit("/new", "/new", **{"key_form": "auto", "form": "json", "text": "1", **fields})
    assert answer.status == 422
    assert problem in answer.page.text
    assert len(shelf) == 0


def test_value_that_the_shelf_refuses_comes_back_and_nothing_is_stored() -> None:
    with coshelf.open("memory:", codec="str") as shelf, visiting(shelf, write=True) as visitor:
        shelf["k"] = "text"
        answer = visitor.submit("/new", "/new", key="n", key_form="text", form="json", text="[1, 2]")
        assert answer.status == 422
        assert "Nothing was stored" in answer.page.text
        assert "[1, 2]" in answer.page.text
        answer = visitor.submit(entry("k", "/edit"), entry("k", "/edit"), form="json", text="[3]")
        assert answer.status == 422
        assert "[3]" in answer.page.text
        token = visitor.get("/new").page.fields("/upload")
        form = visitor.get(entry("k")).page.fields("/upload")
        for fields in (token | {"key": "n", "key_form": "text"}, form):
            answer = visitor.post("/upload", fields, file=("f", b"bytes"))
            assert answer.status == 422
            assert "Nothing was stored" in answer.page.text
        assert dict(shelf) == {"k": "text"}


def test_uploaded_file_is_stored_byte_for_byte(shelf, visitor) -> None:
    data = bytes(range(256)) * 5_000 + b"\r\n--\r\n"
    token = visitor.get("/new").page.fields("/upload")
    assert visitor.post("/upload", token | {"key": "", "key_form": "text"}, file=("photo.bin", data)).status == 200
    assert dict(shelf) == {"photo.bin": data}
    assert visitor.get(entry("photo.bin", "/download")).body == data
    form = visitor.get(entry("photo.bin")).page.fields("/upload")
    assert visitor.post("/upload", form, file=("other", b"short")).status == 200
    assert shelf["photo.bin"] == b"short"
    assert visitor.post("/upload", form, file=("other", b"late")).status == 409
    assert shelf["photo.bin"] == b"short"
    assert visitor.post("/upload", token | {"key": "x"}).status == 422


def test_file_takes_the_place_of_a_value_that_cannot_be_loaded(shelf, visitor) -> None:
    shelf.engine_for("tests").put(coshelf.keys.encode("k"), b"\x80\x05cnowhere\nNothing\n.")
    form = visitor.get(entry("k")).page.fields("/upload")
    assert visitor.post("/upload", form, file=("f", b"x")).status == 200
    assert shelf["k"] == b"x"


def test_value_that_is_replaced_is_not_loaded(shelf, visitor, tmp_path) -> None:
    proof = tmp_path / "proof"
    engine = shelf.engine_for("tests")
    engine.put(coshelf.keys.encode("runs"), f"\x80\x02cos\nmkdir\n(X{chr(len(str(proof)))}\0\0\0{proof}tR.".encode())
    engine.put(coshelf.keys.encode("exits"), b"\x80\x02csys\nexit\n(tR.")
    for key in ("runs", "exits"):
        shelf.touch(key, 5_000)
        expires = shelf.expires(key)
        form = visitor.get(entry(key)).page.fields("/upload")
        assert visitor.post("/upload", form, file=("f", b"x")).status == 200
        assert shelf[key] == b"x"
        assert shelf.expires(key) == expires
    assert not proof.exists()


def test_nothing_can_be_changed_unless_that_was_asked_for(shelf) -> None:
    shelf["k"] = 1
    with visiting(shelf) as visitor:
        page = visitor.get(entry("k")).page
        assert "read only" in page.text
        assert [tag for tag, attributes in page.elements if tag == "form" and attributes.get("method") == "post"] == []
        assert visitor.get("/new").status == visitor.get(entry("k", "/edit")).status == 403
        with visiting(shelf, write=True) as writer:
            token = {"form_token": writer.get("/new").page.fields("/new")["form_token"]}
        for path in ("/new", "/upload", entry("k", "/edit"), entry("k", "/delete"), "/deleted/x/restore"):
            answer = visitor.post(path, token | {"key": "x", "form": "json", "text": "2", "version": "int 1"})
            assert answer.status == 403
            assert "--write" in answer.page.text
    assert dict(shelf) == {"k": 1}


def test_shelf_that_is_open_for_reading_cannot_be_served_for_writing(tmp_path) -> None:
    coshelf.open(tmp_path / "b.shelf").close()
    with (
        coshelf.open(tmp_path / "b.shelf", "r") as shelf,
        pytest.raises(coshelf.ReadOnlyShelf),
        visiting(shelf, write=True),
    ):
        pass


@pytest.mark.parametrize("engine", ["memory:", "sqlite:{}/a.db", "files:{}/a"])
def test_other_engines_are_changed_in_the_same_way(tmp_path, engine: str) -> None:
    with coshelf.open(engine.format(tmp_path)) as shelf:
        shelf["a/b"] = [1]
        with visiting(shelf, write=True) as visitor:
            edit(visitor, "a/b", "[2]")
            assert shelf["a/b"] == [2]
            answer = visitor.submit(entry("a/b"), entry("a/b", "/delete"))
            assert "a/b" not in shelf
            undo = undo_in(answer.page)
            visitor.post(undo, answer.page.fields(undo))
            assert shelf["a/b"] == [2]


def test_store_refuses_every_other_version(shelf) -> None:
    editing = Editing(shelf)
    with pytest.raises(Changed):
        editing.store("k", 1, "int 5")
    editing.store("k", 1, "")
    with pytest.raises(Changed):
        editing.store("k", 2, "")
    with pytest.raises(Changed):
        editing.store("k", 2, f"str {shelf.record('k').version}")
    assert shelf["k"] == 1


def test_text_stands_for_one_value() -> None:
    assert value_of_text("text", "a\r\nb") == "a\nb"
    assert value_of_text("json", '"a"') == "a"
    assert value_of_text("json", '{"a": [1e300, -0.0, {"a": 1}], "b": {}}') == {"a": [1e300, 0.0, {"a": 1}], "b": {}}
    for form, text in (("json", "Infinity"), ("json", "nope"), ("xml", "")):
        with pytest.raises(ValueError, match=r"."):
            value_of_text(form, text)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("1e400", "1e400 is too large for a float"),
        ("[-1e999]", "too large"),
        ('[{"a": 1, "b": 2, "a": 3}]', 'an object has the name "a" more than once'),
    ],
)
def test_json_of_which_a_part_would_be_lost_is_refused(shelf, visitor, text: str, problem: str) -> None:
    shelf["k"] = [1]
    answer = edit(visitor, "k", text)
    assert answer.status == 422
    assert problem in answer.page.text
    assert shelf["k"] == [1]


def test_nothing_waits_for_a_value_whose_code_never_ends() -> None:
    is_over, is_daemon = threading.Event(), []

    async def stop_waiting() -> None:
        loop, has_begun = asyncio.get_running_loop(), asyncio.Event()

        def code() -> None:
            is_daemon.append(threading.current_thread().daemon)
            loop.call_soon_threadsafe(has_begun.set)
            is_over.wait(60)

        waiting = asyncio.ensure_future(in_own_thread(code))
        await has_begun.wait()
        waiting.cancel()

    asyncio.run(stop_waiting())
    assert is_daemon == [True]
    is_over.set()


def test_viewer_ends_while_a_value_is_loaded(shelf, never_ending) -> None:
    shelf["k"] = never_ending
    with viewer.serving(shelf) as start:
        visitor = Visitor(start)
        form = visitor.get(entry("k")).page.fields(entry("k", "/load"))
        answers: list[Any] = []
        load = threading.Thread(target=lambda: answers.append(visitor.post(entry("k", "/load"), form)))
        load.start()
        assert never_ending.has_begun.wait(60)
    load.join()
    visitor.close()
    assert answers[0].status == 503
    assert "The viewer ends" in answers[0].page.text


def test_result_and_error_of_code_in_a_thread_of_its_own_are_told() -> None:
    assert asyncio.run(in_own_thread(lambda: 5)) == 5
    with pytest.raises(ZeroDivisionError):
        asyncio.run(in_own_thread(lambda: 1 // 0))


def test_class_that_ends_the_program_when_it_is_loaded_does_not_end_the_viewer(shelf, visitor) -> None:
    shelf.engine_for("tests").put(coshelf.keys.encode("k"), b"\x80\x02csys\nexit\n(X\4\0\0\0donetR.")
    answer = visitor.submit(entry("k"), entry("k", "/load"))
    assert answer.status == 200
    assert "loading it failed: SystemExit: done" in answer.page.text


def test_button_loads_an_object_of_a_trusted_shelf(shelf, visitor) -> None:
    import argparse

    shelf["k"] = argparse.Namespace(colour="green")
    page = visitor.get(entry("k")).page
    answer = visitor.post(entry("k", "/load"), page.fields(entry("k", "/load")))
    assert answer.status == 200
    assert "Namespace(colour='green')" in answer.page.text
    shelf.engine_for("tests").put(coshelf.keys.encode("k"), b"\x80\x05cnowhere\nNothing\n.")
    answer = visitor.post(entry("k", "/load"), page.fields(entry("k", "/load")))
    assert answer.status == 200
    assert "loading it failed" in answer.page.text
