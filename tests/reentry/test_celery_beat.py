"""Celery's beat, whose handler of SIGTERM syncs and closes its shelf wherever the process happens to be."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from coshelf import shelve

SCRIPTS = Path(__file__).parent / "scripts" / "celery_beat"

pytest.importorskip("celery")

_BEAT = SCRIPTS / "beat.py"


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("number", range(10))
def test_beat_ends_when_it_is_told_to(path: str, number: int) -> None:
    beat = subprocess.Popen([sys.executable, _BEAT, path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        while not os.path.exists(path) and beat.poll() is None:
            time.sleep(0.01)
        time.sleep(0.5 + 0.013 * number)  # at any point of its work
        beat.send_signal(signal.SIGTERM)
        output, _ = beat.communicate(timeout=300)
    finally:
        beat.kill()
        beat.wait()
    assert beat.returncode == 0, output

    with shelve.open(path) as schedule:
        assert "task" in schedule["entries"]
