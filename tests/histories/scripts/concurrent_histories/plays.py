"""One game (``players.Game``), on an engine with a sabotage if one is named."""

import importlib
import json
import signal
import sys

import players
from talking import path

import coshelf.engines.lmdb.engine  # noqa: F401 (what a sabotage changes)

if sys.argv[3:]:
    importlib.import_module(f"scripts.sabotages.{sys.argv[3]}")
signal.alarm(550)  # longer than what other workers do
players.main(path, players.Game(**json.loads(sys.argv[2])))
