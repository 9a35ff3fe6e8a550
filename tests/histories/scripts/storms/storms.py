"""One storm (``storm.Storm``), on an engine with a sabotage if one is named."""

import importlib
import json
import signal
import sys

import storm
from talking import path

if sys.argv[3:]:
    importlib.import_module(f"scripts.sabotages.{sys.argv[3]}")
signal.alarm(550)  # longer than what other workers do
storm.main(path, storm.Storm(**json.loads(sys.argv[2])))
