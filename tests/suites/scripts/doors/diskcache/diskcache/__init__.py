"""The name diskcache, for programs that run by ``make suites``: what they import is coshelf.diskcache."""

import importlib
import importlib.util
import sys

from coshelf import diskcache

sys.modules["diskcache"] = diskcache
for name in ("cli", "core", "fanout", "persistent", "recipes"):
    sys.modules[f"diskcache.{name}"] = importlib.import_module(f"coshelf.diskcache.{name}")
if importlib.util.find_spec("django") is not None:
    sys.modules["diskcache.djangocache"] = importlib.import_module("coshelf.diskcache.djangocache")
