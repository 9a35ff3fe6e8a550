import sys

from talking import in_library, path

import coshelf

shelf = coshelf.open(path, timeout=60)


def touching(number):
    shelf["touched"] = number
    return number + 1


def transaction(shelf):
    with shelf.transaction() as t:
        t["k"] = 1


def nested():
    with shelf.transaction():
        transaction(shelf)


def edit():
    with shelf.edit("list", default=[]) as edited:
        edited.append(1)


STEPS = {
    "transaction": lambda: transaction(shelf),
    "transaction of a sub": lambda: transaction(shelf.sub("part")),
    "nested": nested,
    "edit": edit,
    "modify": lambda: shelf.modify("k", lambda number: number + 1),
    "touching": lambda: shelf.modify("k", touching),
    "pop": lambda: shelf.pop("k"),
    "incr": lambda: shelf.incr("k"),
    "popitem": lambda: shelf.popitem(last=False),
    "setdefault": lambda: shelf.setdefault(at, 1),
}


FINALIZERS = ("__del__", "_until_the_end", "_pages")


def is_in_finalizer(frame):
    """An interrupt there is printed and forgotten by Python, also in a generator that is collected."""
    return frame is not None and (frame.f_code.co_name in FINALIZERS or is_in_finalizer(frame.f_back))


def enter(frame, event, argument):
    if not in_library(frame) or is_in_finalizer(frame):
        return None
    frame.f_trace_opcodes = True
    return trace


def trace(frame, event, argument):
    global count, where
    if event == "opcode":
        count += 1
        if count == at:
            where = frame.f_code.co_filename, frame.f_lineno
            sys.settrace(None)
            raise KeyboardInterrupt
    return trace


step, stride = STEPS[sys.argv[2]], int(sys.argv[3])
at, where, count, interrupts = 0, ("", 0), 0, 0
shelf["k"] = 0
sys.settrace(enter)  # from Python 3.12 on, the first calls that are traced have no events of opcodes
step()
sys.settrace(None)
at = 1
while where is not None:
    shelf["k"] = 0
    shelf.modify("k", lambda number: number)  # with the quick ways in use
    count, where = 0, None
    sys.settrace(enter)
    try:
        step()
    except KeyboardInterrupt:
        interrupts += 1
    finally:
        sys.settrace(None)
    with shelf.transaction() as t:
        t["more"] = at
    shelf["after"] = at
    assert shelf.get("k", 0) in (0, 1), where
    at += stride
assert interrupts
