"""Previews know the classes that people store most, from the instructions of the pickle alone."""

from __future__ import annotations

import base64
import collections
import dataclasses
import datetime as dt
import json
import pathlib
import pickle
import random
import re
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest

from coshelf import records
from coshelf.inspection.preview import Preview, preview_of

GOLDEN: dict[str, str] = json.loads((Path(__file__).parents[1] / "golden" / "frames.json").read_text("utf-8"))


@dataclasses.dataclass
class Soup:
    minutes: int
    name: str = "pea"


def preview_of_pickle(pickled: bytes) -> Preview:
    body = pickled if pickled[0] == records.PICKLE else bytes([records.OLD_PICKLE]) + pickled
    return preview_of(records.seal(body, 0, 1), length=200, steps=500)


def preview(value: Any, protocol: int = 5) -> Preview:
    return preview_of_pickle(pickle.dumps(value, protocol))


@pytest.mark.parametrize("protocol", range(2, 6))
@pytest.mark.parametrize(
    "value",
    [
        dt.datetime(2026, 1, 2, 3, 4, 5, 6),  # noqa: DTZ001 (people store such)
        dt.datetime(2026, 1, 2, 3, 4, tzinfo=dt.UTC),
        dt.date(2026, 12, 31),
        dt.time(23, 59, 1, 7),
        dt.timedelta(days=-1, seconds=5),
        dt.timezone(dt.timedelta(hours=2)),
        collections.deque([1, 2], maxlen=3),
        collections.deque("ab"),
        [dt.date(2026, 1, 1), {"a": dt.time(1)}],
    ],
    ids=repr,
)
def test_values_of_the_standard_library_are_written_as_python_writes_them(value: Any, protocol: int) -> None:
    found = preview(value, protocol)
    assert found.text.removeprefix("collections.") == repr(value)
    assert found.problem is None


def test_other_values_say_what_is_in_them() -> None:
    assert preview(pathlib.PurePosixPath("/srv/data")).text == "pathlib.PurePosixPath('/srv/data')"
    assert preview(pathlib.PurePosixPath("a/b")).text == "pathlib.PurePosixPath('a/b')"
    assert preview(uuid.UUID(int=1)).text == "uuid.UUID('00000000-0000-0000-0000-000000000001')"
    assert (preview(re.compile("a+")).type, preview(re.compile("a+")).text) == ("re.Pattern", "re.compile('a+')")
    assert preview(Soup(30)).text == f"{__name__}.Soup(minutes=30, name='pea')"
    assert preview(collections.OrderedDict(a=1)).text == "collections.OrderedDict({'a': 1})"
    assert preview(collections.defaultdict(list, a=[1])).text == "collections.defaultdict(list, {'a': [1]})"
    day = dt.date(2026, 1, 1)
    assert preview([day, day]).text == "[datetime.date(2026, 1, 1), datetime.date(2026, 1, 1)]"


def test_models_of_pydantic_show_their_fields() -> None:
    pydantic = pytest.importorskip("pydantic")
    recipe = pydantic.create_model("Recipe", name=(str, ...), minutes=(int, 5), __module__=__name__)
    setattr(sys.modules[__name__], "Recipe", recipe)  # noqa: B010 (where pickle looks for it)
    assert preview(recipe(name="soup")).text == f"{__name__}.Recipe(name='soup', minutes=5)"


def test_numbers_and_arrays_of_numpy_are_named_by_their_type() -> None:
    numpy = pytest.importorskip("numpy")
    assert (preview(numpy.int64(3)).type, preview(numpy.int64(3)).text) == ("numpy.int64", "numpy.int64(3)")
    assert preview(numpy.float32(0.5)).text == "numpy.float32(0.5)"
    assert preview(numpy.zeros((2, 3), dtype="u1")).text == "<numpy.ndarray (2, 3) uint8>"
    assert preview(numpy.array([object()])).text == "<numpy.ndarray (1,) object>"
    assert preview(numpy.array(["2026-01-01"], "M8[s]")).text == "<numpy.ndarray (1,) datetime64[s]>"
    assert preview(numpy.dtype("f8")).text == "numpy.dtype('float64')"


def frames() -> dict[str, tuple[Any, str, str]]:
    pandas, pyarrow = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    people = pandas.DataFrame({"name": ["ann", "bob"], "age": [1, 2], "born": pandas.to_datetime(["2001", "2002"])})
    wide = pandas.DataFrame({f"c{number}": [0.5, 1.5] for number in range(40)})
    return {
        "DataFrame": (people, "DataFrame", "<DataFrame 2 rows x 3 columns: 'name', 'age', 'born'>"),
        "nested": ({"people": people}, "dict", "{'people': <DataFrame 2 rows x 3 columns: 'name', 'age', 'born'>}"),
        "index": (people.set_index("born"), "DataFrame", "<DataFrame 2 rows x 2 columns: 'name', 'age'>"),
        "no rows": (people[:0], "DataFrame", "<DataFrame 0 rows x 3 columns: 'name', 'age', 'born'>"),
        "numbers": (pandas.DataFrame({7: [1], 8: [2]}), "DataFrame", "<DataFrame 1 row x 2 columns: 7, 8>"),
        "wide": (
            wide,
            "DataFrame",
            "<DataFrame 2 rows x 40 columns: 'c0', 'c1', 'c2', 'c3', 'c4', 'c5', 'c6', 'c7', ...>",
        ),
        "Series": (people.age, "Series", "<Series 2 int64: 'age'>"),
        "Index": (pandas.Index([5, 6]), "Index", "<Index 2: 5, 6>"),
        "RangeIndex": (pandas.RangeIndex(3), "RangeIndex", "<RangeIndex 3: 0, 1, 2>"),
        "Timestamp": (pandas.Timestamp("2026-01-02 03:04"), "Timestamp", "pandas.Timestamp('2026-01-02 03:04:00')"),
        "Table": (pyarrow.table({"a": [1, 2], "b": ["x", "y"]}), "Table", "<Table 2 rows x 2 columns: 'a', 'b'>"),
        "batch": (pyarrow.record_batch({"a": [1]}), "RecordBatch", "<RecordBatch 1 row x 1 column: 'a'>"),
        "Array": (pyarrow.array([1, 2, 3]), "Array", "<Array 3 int64>"),
    }


def test_tables_show_their_shape_and_columns() -> None:
    for name, (value, kind, text) in frames().items():
        found = preview(value)
        assert (name, found.type.rpartition(".")[2], found.text) == (name, kind, text)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pandas DataFrame", "<DataFrame 2 rows x 4 columns: 'name', 'age', 'height', 'born'>"),
        ("pandas DataFrame with an index of dates", "<DataFrame 2 rows x 3 columns: 'name', 'age', 'height'>"),
        ("pandas DataFrame of many objects", "<DataFrame 6,000 rows>"),
        ("pandas Series", "<Series 2 int64: 'age'>"),
        ("pandas Index", "<Index 4: 'name', 'age', 'height', 'born'>"),
        ("pandas MultiIndex", "<MultiIndex 2>"),
        ("pandas Categorical", "<Categorical 3>"),
        ("pandas Timestamp", "pandas.Timestamp('2026-01-02 03:04:05.000006')"),
        ("polars DataFrame", "<DataFrame 2 rows x 2 columns: 'name', 'age'>"),
        ("polars Series", "<Series 3: 'age'>"),
    ],
)
def test_tables_that_older_libraries_wrote_show_their_shape_and_columns(name: str, text: str) -> None:
    assert preview_of_pickle(base64.b64decode(GOLDEN[name])).text == text


def test_whatever_is_damaged_in_the_pickle_of_a_table_it_has_a_preview() -> None:
    chance = random.Random(20)
    originals = [base64.b64decode(text) for name, text in GOLDEN.items() if "many" not in name]
    originals += [pickle.dumps(value, 5) for value, _, _ in frames().values()]
    for original in originals:
        for _ in range(60):
            changed = bytearray(original)
            for _ in range(chance.randrange(1, 4)):
                changed[chance.randrange(len(changed))] = chance.randrange(256)
            assert preview_of_pickle(bytes(changed)).text.isprintable()


@pytest.mark.parametrize("levels", [10, 300, 1_600])
def test_instances_in_instances_have_a_preview_however_deep_they_are(levels: int) -> None:
    name = b"cpandas._libs.tslibs.timestamps\n_unpickle_timestamp\nq\x000"
    # Each has another one as its time zone.
    pickled = b"\x80\x04" + name + b"h\0(K\1K\1" * levels + b"N" + b"K\ntR" * levels + b"."
    found = preview_of(records.seal(pickled, 0, 1), length=200, steps=50_000)
    assert found.problem is None
    assert "imestamp" in found.text


def test_words_of_what_is_called_do_not_grow_with_each_level() -> None:
    found = preview_of_pickle(b"\x80\x04\x8c\x01a" + b"Q" * 300 + b")R.")
    assert len(found.text) < 300
    assert found.text.startswith("<persistent <persistent ")
