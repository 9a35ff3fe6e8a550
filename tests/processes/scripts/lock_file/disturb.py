"""What drops LMDB's own locks in the process that does it."""

import os
import shutil
import sys

from talking import path


def copy_folder():
    copy = os.path.dirname(path) + "-copy"
    shutil.copytree(os.path.dirname(path), copy, dirs_exist_ok=True)
    shutil.rmtree(copy)


def open_and_close():
    for directory, _, names in os.walk(os.path.dirname(path)):
        for name in names:
            open(os.path.join(directory, name), "rb").close()


disturb = {"copy": copy_folder, "close": open_and_close}[sys.argv[2]]
