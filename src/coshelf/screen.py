"""Makes text safe for a screen, so that no character moves the cursor, is invisible, or reverses others."""

from __future__ import annotations

import re

__all__ = ["is_plain", "plain"]

# Python takes these for printable, but they are invisible: joiners, fillers, variation selectors.
_HIDDEN = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")


def is_plain(text: str) -> bool:
    """Whether each character of the text is visible or an ordinary blank."""
    return text.isprintable() and (text.isascii() or _HIDDEN.search(text) is None)


def plain(text: str, *, keep: str = "") -> str:
    r"""The text, with control characters, direction marks and invisible characters escaped as Python writes them.

    Args:
        text: any text, such as a key, a value, a file name, or the error of another library.
        keep: characters that stay as they are, such as line ends.

    >>> plain("a\x1b[2Jb\u202ec")
    'a\\x1b[2Jb\\u202ec'
    """
    if is_plain(text):
        return text
    return "".join(each if each in keep or _is_harmless(each) else _escaped(each) for each in text)


def _is_harmless(each: str) -> bool:
    if each.isprintable():
        return _HIDDEN.match(each) is None
    import unicodedata  # rarely needed

    return unicodedata.category(each) == "Zs"  # blanks of other widths


def _escaped(each: str) -> str:
    number = ord(each)
    if each in "\n\r\t":
        return repr(each)[1:-1]
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
