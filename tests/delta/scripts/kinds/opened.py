import sys

from insides import MODES, use_kind
from talking import path

import coshelf

kind = sys.argv[2]
use_kind(kind)


def open_shelf(**options):
    return coshelf.open(path, mode=MODES[kind], **options)
