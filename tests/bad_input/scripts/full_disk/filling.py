import os
import sys

folder = sys.argv[1]
path, ballast = os.path.join(folder, "my.shelf"), os.path.join(folder, "ballast")


def leave(pages):
    "Take all room but some pages."
    if os.path.exists(ballast):
        os.remove(ballast)
    file = os.open(ballast, os.O_WRONLY | os.O_CREAT)
    try:
        while True:
            os.write(file, bytes(4096))
    except OSError:
        pass
    os.ftruncate(file, max(0, os.fstat(file).st_size - pages * 4096))
    os.close(file)
