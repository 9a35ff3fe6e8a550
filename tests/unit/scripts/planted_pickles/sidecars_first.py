import os
import sys

os.mkdir(sys.argv[1])
os.chmod(sys.argv[1], 0o777)
if sys.argv[2]:
    name = os.path.join(sys.argv[1], sys.argv[2])
    with open(name, "wb") as file:
        file.write(bytes(1 << 16))
    os.chmod(name, 0o666)
