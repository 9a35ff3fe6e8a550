"""A shelf of the other user, renamed or linked to the name of the victim's."""

import os
import sys

import coshelf.opening
from coshelf.values.front_doors import RAW_PICKLES

os.environ["XDG_STATE_HOME"] = sys.argv[1] + "/state"
with coshelf.opening.open_with_codec(sys.argv[1] + "/mine", "c", RAW_PICKLES, mode=0o666) as shelf:
    shelf["session"] = bytes.fromhex(sys.argv[2])
getattr(os, sys.argv[3])(sys.argv[1] + "/mine", sys.argv[1] + "/a.shelf")
