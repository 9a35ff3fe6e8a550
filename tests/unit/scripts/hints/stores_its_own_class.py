import sys

import coshelf


class User:
    name = "ann"


with coshelf.open("a.shelf", protocol=int(sys.argv[1])) as shelf:
    shelf["k"] = User()
