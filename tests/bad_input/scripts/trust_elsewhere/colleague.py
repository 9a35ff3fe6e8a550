import sys

import coshelf

with coshelf.open(sys.argv[1]) as shelf:
    try:
        shelf["k"]
    except coshelf.UntrustedValue:
        print("plain data")
    shelf["data"] = 2
    shelf["theirs"] = {"by": "colleague"}
