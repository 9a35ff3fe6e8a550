"""The name sqlitedict, for programs that run by ``make suites``: what they import is coshelf.sqlitedict."""

import importlib
import sys

# One of sqlitedict's own tests imports it anew, and expects that it then imports pickle anew, too.
sys.modules.pop("coshelf.sqlitedict", None)
sys.modules["sqlitedict"] = importlib.import_module("coshelf.sqlitedict")
