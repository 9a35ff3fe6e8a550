"""Bounded: each place once with each action; the rest of a meeting goes round. Long: all of it, and every
seventh step."""

import shutil
import signal
import sys

import meetings
from talking import path

import coshelf.engines.lmdb.engine  # noqa: F401 (so that no step is an import)

signal.alarm(550)  # longer than what other workers do

SETTINGS = [
    ("interval", 0.01, False),
    ("commit", 1.0, True),
    ("interval", 1.0, False),
    ("interval", 0.01, True),
    ("commit", 1.0, False),
    ("interval", 1.0, True),
]
ACTIONS = ("pause", "kill", "pause and kill")
directory = path + ".meetings"


def meet(*given, **more):
    meeting = meetings.Meeting(*given, **more)
    print(meeting, file=sys.stderr)  # shown if it fails
    reached = meeting.take_place(directory)
    shutil.rmtree(directory)
    return reached
