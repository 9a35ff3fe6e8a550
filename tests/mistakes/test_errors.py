"""Every error says what causes it and what remedies it. The page of errors is made from that."""

from __future__ import annotations

import inspect
import pickle

import pytest

import coshelf
from coshelf import errors

CLASSES = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if kind.__module__ == errors.__name__]


def paragraphs(kind: type) -> list[str]:
    return (inspect.getdoc(kind) or "").split("\n\n")


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_error_has_its_cause_and_its_remedy_in_this_order(kind: type) -> None:
    first, *more = paragraphs(kind)
    assert first.partition("\n")[0].endswith(".")
    parts = [part.partition(" ")[0] for part in more if part.startswith(("Cause: ", "Remedy: "))]
    assert parts == ["Cause:", "Remedy:"]
    assert all(part.endswith(".") for part in more if part.startswith(("Cause: ", "Remedy: ")))


def test_every_error_is_public_and_the_same_class_under_both_names() -> None:
    assert sorted(errors.__all__) == sorted(kind.__name__ for kind in CLASSES)
    assert [kind.__name__ for kind in CLASSES if getattr(coshelf, kind.__name__) is not kind] == []


def test_hint_of_an_error_of_the_system_stands_behind_the_name_of_the_file() -> None:
    error = errors.ShelfNotFound(2, "there is no shelf\n  hint: look again", "a.shelf")
    assert str(error) == "[Errno 2] there is no shelf: 'a.shelf'\n  hint: look again"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    assert str(errors.ShelfNotFound(2, "there is no shelf", "a.shelf")) == "[Errno 2] there is no shelf: 'a.shelf'"
