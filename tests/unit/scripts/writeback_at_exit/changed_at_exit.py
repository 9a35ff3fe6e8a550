import sys

if sys.argv[2] == "finalizer before":
    import weakref

    thing = type("Thing", (), {})()
    weakref.finalize(thing, int)
import coshelf

shelf = coshelf.open(sys.argv[1], writeback=True)
shelf["a"] = [1]
shelf["a"].append(2)
shelf.sub("users")["ann"] = []
shelf.sub("users")["ann"].append(3)
