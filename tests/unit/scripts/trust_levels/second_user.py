import sys

import coshelf

with coshelf.open(sys.argv[1], "r") as shelf:
    assert shelf["data"] == 1
    try:
        shelf["k"]
    except coshelf.UntrustedValue:
        print("plain data")
