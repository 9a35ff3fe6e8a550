import os
import sys

for name in ("session", "folder/session"):
    os.unlink(f"{sys.argv[1]}/{name}")
    with open(f"{sys.argv[1]}/{name}", "wb") as file:
        file.write(bytes.fromhex(sys.argv[2]))
