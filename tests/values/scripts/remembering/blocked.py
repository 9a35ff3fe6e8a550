"""What is told of extras that are not there: for options of every kind, or for a shelf with this key."""

import os
import sys

for name in ("msgspec", "backports.zstd", "compression.zstd", "cryptography"):
    sys.modules[name] = None
import coshelf


def told(**options):
    try:
        coshelf.open(os.path.join(*sys.argv[1:3]), **options).close()
    except coshelf.MissingExtra as error:
        print(str(error).splitlines()[-1].strip())


if sys.argv[3] == "every kind":
    told(codec="msgspec")
    told(type=int)
    told(codec="json", type=int)
    told(compress="zstd")
    told(encrypt=b"k" * 16)
    print(os.listdir(sys.argv[1]))
    told(codec="json")
else:
    told(encrypt=bytes.fromhex(sys.argv[3].removeprefix("key ")))
