"""Globs against a matcher written a second time, and the leaps that scans make with them."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

import coshelf
from coshelf.mapping.globs import Glob

ALPHABET = "ab/\n0.[]é-!"


# --- a matcher from the words of Shelf.keys --------------------------------------------------------------------------


def tokens(pattern: str) -> list[Any]:
    """The pattern as ``"**"``, ``"*"``, ``"?"``, sets of one character, and plain characters."""
    found: list[Any] = []
    at = 0
    while at < len(pattern):
        if pattern.startswith("**", at):
            while pattern.startswith("*", at):
                at += 1
            found.append("**")
            continue
        character = pattern[at]
        if character == "[":
            first = at + 1
            negated = pattern.startswith("!", first)
            end = pattern.find("]", first + (2 if negated else 1))
            if end > 0:
                found.append(("set", negated, pattern[first + negated : end]))
                at = end + 1
                continue
        found.append(character if character in "*?" else ("plain", character))
        at += 1
    return found


def within(members: str, character: str) -> bool:
    at = 0
    while at < len(members):
        if at + 2 < len(members) and members[at + 1] == "-":
            if members[at] <= character <= members[at + 2]:
                return True
            at += 3
        else:
            if members[at] == character:
                return True
            at += 1
    return False


def is_one(token: Any, character: str) -> bool:
    if token == "?":
        return character != "/"
    kind, *rest = token
    if kind == "plain":
        return bool(rest[0] == character)
    negated, members = rest
    return character != "/" and within(members, character) is not negated


def matches(pattern: str, key: str) -> bool:
    """By the set of places in the pattern that each beginning of the key can lead to."""
    parts = tokens(pattern)

    def skip(places: set[int]) -> set[int]:
        reached = set(places)
        for place in sorted(places):
            end = place
            while end < len(parts) and parts[end] in ("*", "**"):
                end += 1
                reached.add(end)
        return reached

    places = skip({0})
    for character in key:
        after: set[int] = set()
        for place in places:
            if place == len(parts):
                continue
            if parts[place] == "**" or (parts[place] == "*" and character != "/"):
                after.add(place)
            elif parts[place] != "*" and is_one(parts[place], character):
                after.add(place + 1)
        places = skip(after)
    return len(parts) in places


# --- strategies ------------------------------------------------------------------------------------------------------

keys = st.one_of(
    st.text(ALPHABET, max_size=8),
    st.lists(st.text("ab", max_size=2), max_size=4).map("/".join),
    st.text(st.characters(exclude_categories=()), max_size=5),
)
sets = st.tuples(st.sampled_from(["", "!"]), st.text("ab/!é.", min_size=1, max_size=4)).map(lambda s: f"[{s[0]}{s[1]}]")
pieces = st.one_of(
    st.sampled_from(["*", "**", "?", "/", "a", "b", "a/", "[", "]", "é", "\n", ".", "[a-b]", "[!a-b]", "[/-a]"]), sets
)
patterns = st.lists(pieces, max_size=6).map("".join)


def compiled(pattern: str) -> Glob:
    try:
        return Glob(pattern)
    except ValueError:
        assume(False)
        raise


# --- matching --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("", ["", *[]], ["a", "/"]),
        ("a", ["a"], ["", "aa", "a/", "A"]),
        ("*", ["", "a", "ab", "\n"], ["/", "a/b"]),
        ("**", ["", "a", "a/b", "/", "a\nb/"], []),
        ("***", ["", "a/b"], []),
        ("a*c", ["ac", "abc", "a.c"], ["a/c", "acx", "xac"]),
        ("a**c", ["ac", "abc", "a/b/c"], ["a/b"]),
        ("a/*", ["a/", "a/b"], ["a", "a/b/c", "b/a"]),
        ("a/**/b", ["a//b", "a/x/b", "a/x/y/b"], ["a/b", "a/x/c"]),
        ("?", ["a", "é", "\n", "\U0001f40d"], ["", "/", "ab"]),
        ("[ab]c", ["ac", "bc"], ["cc", "c", "/c"]),
        ("[!ab]c", ["cc", "\nc"], ["ac", "/c", "c"]),
        ("[a-c]", ["a", "b", "c"], ["d", "-"]),
        ("[]]", ["]"], ["["]),
        ("[!]]", ["["], ["]"]),
        ("[!", ["[!"], ["["]),
        ("[a", ["[a"], ["a"]),
        ("a]", ["a]"], ["a"]),
        ("[.]", ["."], ["a"]),
        ("a.c", ["a.c"], ["abc"]),
        ("[a/b]c", ["ac", "bc"], ["/c"]),
        ("[!a]", ["/x"[1:]], ["/", "a"]),
        ("[a-]", ["a", "-"], ["b"]),
        ("[\\]", ["\\"], ["a"]),
        ("(a|b)+", ["(a|b)+"], ["a", "ab"]),
        ("{a,b}", ["{a,b}"], ["a"]),
        ("[&&~~||]", ["&", "~", "|"], ["a"]),
        ("[a--]", ["a", "-"], ["b"]),
    ],
)
def test_glob_matches_what_it_says(pattern: str, yes: list[str], no: list[str]) -> None:
    glob = Glob(pattern)
    for key in yes:
        assert glob.matches(key), key
        # The independent matcher takes this one for a range from a down to -.
        assert pattern == "[a--]" or matches(pattern, key), key
    for key in no:
        assert not glob.matches(key), key
        assert not matches(pattern, key), key


@settings(max_examples=500)
@given(patterns, keys)
@example("a/[a/b]", "a/a")
@example("[a/b]/c", "a/c")
def test_glob_agrees_with_the_independent_matcher(pattern: str, key: str) -> None:
    assert compiled(pattern).matches(key) == matches(pattern, key)


@settings(max_examples=500)
@given(st.text("ab/*?[]!-é&|~\\^", max_size=8), keys)
def test_any_text_is_a_glob_or_a_value_error_that_shows_it(pattern: str, key: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            glob = Glob(pattern)
        except ValueError as error:
            assert repr(pattern) in str(error)  # noqa: PT017 (most are no error)
            return
    assert glob.matches(key) in (True, False)


@given(keys)
def test_text_without_wildcards_matches_itself_alone(key: str) -> None:
    assume(not set(key) & set("*?["))
    assert Glob(key).matches(key)
    assert not Glob(key).matches(key + "a")
    assert Glob(key).literal == key


@given(patterns, keys)
def test_every_match_begins_with_the_literal(pattern: str, key: str) -> None:
    glob = compiled(pattern)
    assert pattern.startswith(glob.literal)
    if glob.matches(key):
        assert key.startswith(glob.literal)


@pytest.mark.parametrize("pattern", [None, 1, b"*", ["*"]])
def test_glob_of_another_type_is_a_type_error(pattern: Any) -> None:
    with pytest.raises(TypeError, match="glob is a str"):
        Glob(pattern)


# --- leaps -----------------------------------------------------------------------------------------------------------


@settings(max_examples=400)
@given(patterns, keys, st.lists(keys, max_size=12))
@example("[a/b]/c", "a/b", ["a/c"])
@example("[x/**]/b", "x/a", ["x/b"])
@example("a[b/c]d/e", "ab/x", ["abd/e"])
@example("*/b", "a/a", ["a/b", "b/b"])
def test_nothing_matches_in_a_dead_range(pattern: str, key: str, others: list[str]) -> None:
    glob = compiled(pattern)
    if glob.matches(key):
        return
    dead = glob.dead_range(key)
    if dead is None:
        return
    start, stop = dead
    assert start <= key
    assert stop is None or key < stop
    for other in [*others, start, *(key + other for other in others), *(start + other for other in others)]:
        if start <= other and (stop is None or other < stop):
            assert not matches(pattern, other), other


@settings(max_examples=300)
@given(patterns, st.sets(keys, max_size=15), st.booleans(), st.sampled_from(["", "a", "a/b"]))
@example("[a/b]/c", {"a/b", "a/c", "a/d", "b/c"}, False, "")
@example("[a/b]/c", {"a/b", "a/c", "a/d", "b/c"}, True, "")
@example("[!a/b]/c", {"c/a", "c/c"}, False, "")
def test_scan_finds_exactly_what_matches_in_both_directions(
    pattern: str, stored: set[str], reverse: bool, under: str
) -> None:
    compiled(pattern)
    with coshelf.open("memory:") as whole:
        shelf = whole.sub(under) if under else whole
        shelf.update(dict.fromkeys(stored, 1))
        whole.update({5: 1, b"a": 1, ("a",): 1})
        expected = sorted((key for key in stored if matches(pattern, key)), reverse=reverse)
        if under:
            expected = [key for key in expected if key in shelf]
        assert list(shelf.keys(pattern, reverse=reverse)) == expected
        assert list(reversed(shelf.keys(pattern, reverse=reverse))) == expected[::-1]
        assert len(shelf.items(pattern)) == len(expected)


@given(patterns, st.sets(keys, max_size=15), keys, keys)
def test_glob_and_range_hold_together(pattern: str, stored: set[str], start: str, stop: str) -> None:
    compiled(pattern)
    with coshelf.open("memory:") as shelf:
        shelf.update(dict.fromkeys(stored, 1))
        expected = sorted(key for key in stored if matches(pattern, key) and start <= key < stop)
        assert list(shelf.keys(pattern, start=start, stop=stop)) == expected
        assert list(shelf.keys(pattern, start=start, stop=stop, reverse=True)) == expected[::-1]
        begun = sorted(key for key in stored if matches(pattern, key) and key.startswith(start))
        assert list(shelf.keys(pattern, prefix=start)) == begun
