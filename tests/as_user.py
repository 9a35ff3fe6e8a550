"""Runs a program as another user: ``as_user.py USER GROUP GROUPS PROGRAM ARGUMENTS``.

That user need not be able to read the program. The modules that programs use are imported before the change of user,
because only root may be able to read the interpreter's files.
"""

from __future__ import annotations

import ctypes
import grp
import os
import pwd
import random
import sqlite3
import sys
import tempfile
import traceback
import types
from pathlib import Path

import coshelf
import coshelf.engines.files
import coshelf.engines.lmdb
import coshelf.engines.mapping
import coshelf.engines.sqlite
import coshelf.opening
import coshelf.trust.exposure
import coshelf.trust.gate.interpreter
import coshelf.trust.provenance
import coshelf.values.front_doors

IMPORTED = (ctypes, grp, pwd, random, sqlite3, tempfile, traceback, coshelf)


def main() -> None:
    user, group, groups, program, *arguments = sys.argv[1:]
    text = arguments.pop(0) if program == "-c" else Path(program).read_text("utf-8")
    code = compile(text, program, "exec")
    coshelf.open("memory:").close()
    sys.argv = [program, *arguments]
    os.setgroups([int(each) for each in groups.split(",") if each])
    os.setgid(int(group))
    os.setuid(int(user))
    sys.modules["__main__"] = types.ModuleType("__main__")
    exec(code, sys.modules["__main__"].__dict__)


if __name__ == "__main__":
    main()
