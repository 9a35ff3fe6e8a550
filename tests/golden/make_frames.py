"""Makes frames.json: pickles of tables as older and other libraries write them, to be told without these libraries.

It was run with pandas 2.2.3, numpy 2.2.6 and polars 2.1.0: python make_frames.py
"""

from __future__ import annotations

import base64
import json
import pickle
from pathlib import Path

import pandas as pd
import polars as pl

people = pd.DataFrame(
    {
        "name": ["ann", "bob"],
        "age": [1, 2],
        "height": [1.5, 1.75],
        "born": pd.to_datetime(["2001-01-01", "2002-02-02"]),
    }
)
made = {
    "pandas DataFrame": people,
    "pandas DataFrame with an index of dates": people.set_index("born"),
    "pandas DataFrame of many objects": pd.DataFrame({"a": pd.Series([None] * 6_000, dtype=object)}),
    "pandas Series": people["age"],
    "pandas Index": people.columns,
    "pandas MultiIndex": pd.MultiIndex.from_tuples([(1, "a"), (2, "b")]),
    "pandas Categorical": pd.Categorical(["a", "b", "a"]),
    "pandas Timestamp": pd.Timestamp("2026-01-02 03:04:05.000006"),
    "polars DataFrame": pl.DataFrame({"name": ["ann", "bob"], "age": [1, 2]}),
    "polars Series": pl.Series("age", [1, 2, 3]),
}
text = {name: base64.b64encode(pickle.dumps(value, 5)).decode() for name, value in made.items()}
(Path(__file__).parent / "frames.json").write_text(json.dumps(text, indent=1) + "\n", "utf-8")
