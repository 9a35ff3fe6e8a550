import os
import pwd
import sys

import coshelf

assert os.geteuid() == 0
account = pwd.getpwuid(0)
root = pwd.struct_passwd((*account[:5], sys.argv[2], account[6]))  # whose state is not that of whoever runs tests
real = pwd.getpwuid
pwd.getpwuid = lambda number: root if number == 0 else real(number)
with coshelf.open(sys.argv[1]) as shelf:
    shelf["by root"] = 1
