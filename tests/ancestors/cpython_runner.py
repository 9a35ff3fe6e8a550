"""Run a test module of the standard library, as it is or with coshelf in a module's place. Prints counts as JSON.

``python cpython_runner.py test_shelve original|module|backend``
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import tempfile
import types
import unittest
from typing import Any

KIND = "dbm.coshelf"  # the tests want backends to be called dbm.something


def use_module() -> None:
    """``import shelve`` gives ours."""
    import coshelf.shelve

    sys.modules["shelve"] = coshelf.shelve


def use_backend() -> None:
    """The standard library's dbm knows ours, and no other, as one of its backends; a dbm imported afresh as well."""
    import dbm

    from test.support import import_helper

    import coshelf.dbm

    backend = types.ModuleType(KIND)
    vars(backend).update({name: value for name, value in vars(coshelf.dbm).items() if name != "__name__"})
    backend.error = coshelf.dbm.error[0]  # type: ignore[attr-defined]  # of a backend it is a class, of dbm a tuple
    sys.modules[KIND] = backend

    def install(module: Any) -> Any:
        module._names, module._defaultmod, module._modules = [KIND], backend, {KIND: backend}
        theirs = module.whichdb

        def whichdb(filename: Any) -> str | None:
            found = coshelf.dbm.whichdb(filename)
            return KIND if found == "coshelf.dbm" else theirs(filename)

        module.whichdb = whichdb
        return module

    install(dbm)
    fresh = import_helper.import_fresh_module
    import_helper.import_fresh_module = lambda name, *rest, **options: (
        install(fresh(name, *rest, **options)) if name == "dbm" else fresh(name, *rest, **options)
    )


def main() -> None:
    name, how = sys.argv[1:]
    if how == "module":
        use_module()
    elif how == "backend":
        use_backend()
    os.chdir(tempfile.mkdtemp())
    suite = unittest.defaultTestLoader.loadTestsFromModule(importlib.import_module(f"test.{name}"))
    result = unittest.TextTestRunner(stream=sys.stderr, verbosity=0).run(suite)
    print(
        json.dumps(
            {"run": result.testsRun, "skipped": len(result.skipped), "bad": len(result.failures) + len(result.errors)}
        )
    )


if __name__ == "__main__":
    main()
