import sys

import coshelf

with coshelf.open(sys.argv[1], trust=False) as shelf:
    print(repr(shelf["k"]), shelf.info().codec, shelf.info().compression)
    shelf["there"] = shelf["k"]
    print(shelf.preview("there").stored_as)
