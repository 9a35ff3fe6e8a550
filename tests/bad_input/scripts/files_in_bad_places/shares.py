import sys

import coshelf

with coshelf.open("files:" + sys.argv[1], mode=0o666) as shelf:
    shelf[sys.argv[2]] = shelf["d/" + sys.argv[2]] = shelf["//" + sys.argv[2]] = [1]
    if sys.argv[3]:
        shelf.clear()
