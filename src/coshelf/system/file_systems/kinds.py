"""Which file systems belong to one kernel, and which are shared between kernels.

LMDB's locks and its shared map work between the processes of one kernel. A kernel does not see the locks and changes of
another kernel. This is so on a network file system, and in a folder that a virtual machine shares with its host.
"""

from __future__ import annotations

import functools
import os

from coshelf.errors import UnsafeFilesystem
from coshelf.system.file_systems.statfs import type_by_statfs
from coshelf.system.files import windows_names

__all__ = ["refuse_shared_filesystem", "shared", "type_of"]

_NETWORK = frozenset(
    "9p acfs afs afpfs beegfs ceph cifs coda davfs fhgfs gfs gfs2 glusterfs gpfs lustre ncpfs nfs nfs3 nfs4 ocfs2 "
    "orangefs panfs pvfs2 smb2 smb3 smbfs webdav wekafs".split()
)
_BETWEEN_KERNELS = frozenset("fakeowner hgfs prl_fs vboxsf virtiofs vmhgfs".split())
_FUSE = frozenset(
    "blobfuse blobfuse2 ceph ceph-fuse cubefs curlftpfs cvmfs2 davfs gcsfuse glusterfs google-drive-ocamlfuse goofys "
    "grpcfuse gvfsd-fuse juicefs kio-fuse mfs moosefs mount-s3 mount.moosefs onedriver osxfs rclone s3fs s3ql "
    "seaweedfs smbnetfs sshfs vmhgfs-fuse weed".split()
)

_MOUNTS = "/proc/self/mountinfo"


def refuse_shared_filesystem(path: str) -> None:
    """Raise :class:`UnsafeFilesystem` if ``path``, or its directory, is on a file system that kernels share."""
    what = shared(path)
    if what is not None:
        raise UnsafeFilesystem(
            f"{path} is {what}: locks and shared memory do not work there, and the shelf would be corrupted\n"
            "  hint: keep it on a local disk, or use the files engine (files:DIRECTORY), or a shelf on a server"
        )


def shared(path: str) -> str | None:
    """Where ``path`` is, in words, if kernels share that file system; None if not."""
    # A letter may stand for a share: realpath resolves that.
    share = windows_names.share_of(os.path.realpath(path)) if windows_names.follows_rules else None
    if share is not None:
        return f"on a file server ({share})"
    found = type_of(path)
    if found is None:
        return None
    family, _, member = found.partition(".")
    if found in _BETWEEN_KERNELS:
        return f"in a folder that two kernels share ({found})"
    if found in _NETWORK or (family == "fuse" and member in _FUSE):
        return f"on a network file system ({found})"
    return None


def type_of(path: str) -> str | None:
    """The type of the file system of ``path`` as the kernel names it, or None if it is not known."""
    if not hasattr(os, "statvfs"):  # Windows, where the path tells what can be told
        return None
    while not os.path.lexists(path):
        path = os.path.dirname(path) or os.curdir
    try:
        device = os.stat(path).st_dev
        number = f"{os.major(device)}:{os.minor(device)}"
        # The number of a file system without a device of its own may be given to another one.
        if os.major(device):
            return _type_on_device(_MOUNTS, number, os.statvfs(path).f_fsid)
        return _type_in(_MOUNTS, number)
    except FileNotFoundError:  # no /proc
        return _told_by_statfs(path)
    except OSError:  # no descriptor is left: opening reports the error
        return None


def _told_by_statfs(path: str) -> str | None:
    try:
        return type_by_statfs(path)
    except OSError:
        return None


@functools.lru_cache(maxsize=64)  # reading the table takes up to a millisecond where there are many mounts
def _type_on_device(mounts: str, number: str, _file_system: int) -> str | None:
    """The type of the file system on a device. ``_file_system`` is its id: the device may get another file system."""
    return _type_in(mounts, number)


def _type_in(mounts: str, number: str) -> str | None:
    with open(mounts, "rb", buffering=0) as file:
        return find_type(file.readall().decode("utf-8", "surrogateescape"), number)


def find_type(mounts: str, number: str) -> str | None:
    """Look up a device number (``major:minor``) in the text of a mountinfo table."""
    for line in mounts.splitlines():
        if number not in line:
            continue
        fields = line.split(" ")
        if len(fields) > 2 and fields[2] == number and "-" in fields:
            return fields[fields.index("-") + 1]
    return None
