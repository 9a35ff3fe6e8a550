"""Takes an item, and is interrupted at each line of the library in turn. No item stays with a taker that has none."""

import gc
import queue
import sys

from talking import in_library, path, say

import coshelf

left = 0  # lines of the library until the interrupt


def trace(frame, event, _):
    global left
    if frame.f_code.co_name == "__del__":
        sys.settrace(None)  # what is raised there is reported and ignored
        return None
    if not in_library(frame):
        return trace
    if event == "line":
        left -= 1
        if left == 0:
            raise KeyboardInterrupt
    return trace


def take(jobs, lines):
    """Take an item and finish it. Returns whether that was interrupted."""
    global left
    left = lines
    try:
        sys.settrace(trace)
        with jobs.take(block=False):
            pass
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(None)
    return False


with coshelf.open(path) as shelf:
    engine = shelf.engine_for("test")
    for item in (1, "x" * 40_000):  # one that is taken in C where there is C, and one that is not
        lines, was_interrupted = 0, True
        while was_interrupted:
            lines += 1
            jobs = shelf.queue("jobs", attempts=None)
            jobs.clear()
            jobs.put(item)
            was_interrupted = take(jobs, lines)
            gc.collect()
            if jobs.rows.count(engine, "taken"):
                say("it is taken after an interrupt at line", lines)
                break
            try:
                jobs.get_nowait()
            except queue.Empty:
                continue
            if not was_interrupted:
                say("it is there after its end")
say("all places were tried")
