import os

from talking import path


def descriptors():
    found = []
    for number in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{number}"))
        except FileNotFoundError:  # that of the listing
            pass
    return [name for name in found if name.startswith(os.path.dirname(path))]
