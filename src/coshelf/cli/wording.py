"""Errors in the words of the command line: they name options and commands. The library's errors name arguments."""

from __future__ import annotations

import re

__all__ = ["in_options"]

# The longer phrases first. A phrase is matched as the library writes it, so that no key or value is reworded.
_PHRASES: tuple[tuple[str, str], ...] = (
    (r"; trust=False was given\n[^\n]*(\n *or open it with[^\n]*)?", "\n  hint: get --trust-pickle loads any object"),
    (r"trust=False was given", "commands load only plain data"),
    (r"open it with trust=False for plain data, or with trust=True if you[^\n]*", "get --trust-pickle loads it"),
    (r"[,;]? (or )?open it with trust=True, or with allow=[^\n]*", "get --trust-pickle loads any object"),
    (r",? or open it with trust=True", ""),
    (r"\n *hint: open it with trust=True", ""),
    (r"you trust the source \(--trust, trust=True\)", "you trust the source (--trust)"),
    (r"trust=True, or with allow=[^\n]*", "get --trust-pickle"),
    (r"leave codec=, type=, compress= and encrypt= out to use[^\n]*", "leave --encrypt-with out to use what it has"),
    (r"codec=, type=, compress= and encrypt= need an engine", "--encrypt-with needs an engine"),
    (
        r"encrypt=\[new, old\] reads what an old secret encrypted",
        "--encrypt-with names the file of the secret that it was encrypted with",
    ),
    (r"(open the shelf with|give) encrypt=", "give --encrypt-with FILE"),
    (r"(^|\n|\berror: )encrypt= needs", r"\1--encrypt-with needs"),
    (r"open the shelf with sign=", "give --sign-with FILE"),
    (r"not signed; opened with sign=", "not signed; --sign-with was given"),
    (r"store it there again with sign=", "store it there again with set --sign-with"),
    (r"a secret for (encrypt|sign)= has", r"the secret of --\1-with has"),
    (r"wait longer with timeout=", "wait longer with --timeout SECONDS"),
    (r"overwrite=True replaces a shelf", "--overwrite replaces a shelf"),
    (r"(name its primary), or use flag 'r'", r"\1"),
    (r"read it with flag 'r', or use", "only read it, or use"),
    (r"was opened with flag 'r' and cannot be written", "was opened only for reading"),
    (r"\n *hint: open it with flag 'w' or 'c'", ""),
    (r"; flag 'c' makes a shelf$", ""),
    (r"flag 'r' is enough to read it; to write it, change", "change"),
    (r"coshelf\.check\(path\) lists all", "coshelf check PATH lists all"),
    (r"coshelf\.salvage\(path, new\)", "coshelf salvage PATH NEW"),
    (r"coshelf\.salvage\(\) copies", "coshelf salvage copies"),
    (r"(use its|make a compact copy with) backup\(\)", r"\1 coshelf backup"),
    (r"open it with coshelf\.open\b", "get --preview tells what it is"),
    (r", or open it once with recode=True, and with the codec=[^\n]*", ""),
    (r"the secret of encrypt=", "the secret of --encrypt-with"),
    (r" random bytes, or give trust=True", " random bytes"),
    (r"hint: backup\(\) still copies", "hint: coshelf backup still copies"),
    (r"hint: flag 'r' needs none", "hint: commands that only read need none"),
    (r"compact\(\): ", ""),
    (r"; require='\w+' at opening makes sure", ""),
)
_COMPILED = tuple((re.compile(phrase), words) for phrase, words in _PHRASES)


def in_options(message: str) -> str:
    """A message of the library as a command tells it.

    >>> in_options("shelf is locked: a.shelf\\n  hint: wait longer with timeout=")
    'shelf is locked: a.shelf\\n  hint: wait longer with --timeout SECONDS'
    """
    for phrase, words in _COMPILED:
        message = phrase.sub(words, message)
    return message
