"""Loop devices: a file as a block device, for as long as a process has it open."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import struct
import time
from collections.abc import Iterator

CONTROL = "/dev/loop-control"
FIRST = 64  # far behind those of other programs, which take the first that is free
MOST = 256

# Requests of <linux/loop.h> and <linux/fs.h>.
_CONFIGURE = 0x4C0A
_ADD = 0x4C80
_REMOVE = 0x4C81
_FLUSH_BUFFERS = 0x1261
_AUTOCLEAR = 4

_CONFIG = struct.Struct("=II 5Q 3I I 128x 32x 16x 64x")  # loop_config; the last of the numbers are the flags
_PATIENCE = 60.0  # seconds for a namespace that ended to be taken apart


@contextlib.contextmanager
def device() -> Iterator[str]:
    """The path of a loop device that no other process uses. It has no file yet."""
    control = os.open(CONTROL, os.O_RDWR)
    try:
        number = _add(control)
        try:
            yield f"/dev/loop{number}"
        finally:
            _remove(control, number)
    finally:
        os.close(control)


@contextlib.contextmanager
def attached(device: str, path: str) -> Iterator[int]:
    """The device has this file. The kernel ends that, too, when the process that began it is killed."""
    file = os.open(path, os.O_RDWR)
    wait_until_free(device)
    descriptor = os.open(device, os.O_RDWR)
    try:
        fcntl.ioctl(descriptor, _CONFIGURE, _CONFIG.pack(file, 0, 0, 0, 0, 0, 0, 0, 0, 0, _AUTOCLEAR))
        os.close(file)
        yield descriptor
    finally:
        os.close(descriptor)


def forget(descriptor: int) -> None:
    """Discard the pages that were read from the device, because it has another file now."""
    fcntl.ioctl(descriptor, _FLUSH_BUFFERS)


def is_attached(device: str) -> bool:
    """Whether the device has a file."""
    return os.path.exists(f"/sys/block/{os.path.basename(device)}/loop/backing_file")


def wait_until_free(device: str) -> None:
    """Wait until the device has no file: the kernel takes it away after the last close, in its own time."""
    deadline = time.monotonic() + _PATIENCE
    while is_attached(device):
        if time.monotonic() > deadline:
            raise OSError(errno.EBUSY, f"{device} is in use")
        time.sleep(0.01)


def _add(control: int) -> int:
    for number in range(FIRST, MOST):
        try:
            fcntl.ioctl(control, _ADD, number)
        except FileExistsError:
            continue
        if not os.path.exists(f"/dev/loop{number}"):
            fcntl.ioctl(control, _REMOVE, number)
            raise FileNotFoundError(errno.ENOENT, "new devices do not appear in /dev")
        return number
    raise OSError(errno.EBUSY, f"loop devices {FIRST} to {MOST} are all there already")


def _remove(control: int, number: int) -> None:
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            fcntl.ioctl(control, _REMOVE, number)
        except OSError as error:
            if error.errno != errno.EBUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.05)  # the process that mounted it was killed, and the kernel still unmounts it
        else:
            return
