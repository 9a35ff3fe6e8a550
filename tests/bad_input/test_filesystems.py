"""File systems that are shared between machines are refused; the tables are from real ones."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

import coshelf
from coshelf.system.file_systems import kinds as filesystem

SCRIPTS = Path(__file__).parent / "scripts" / "filesystems"

MOUNTS = textwrap.dedent(r"""
    22 28 0:21 / /proc rw,nosuid,nodev,noexec,relatime shared:13 - proc proc rw
    28 1 259:2 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p2 rw,errors=remount-ro
    29 28 0:25 / /dev/shm rw,nosuid,nodev shared:3 - tmpfs tmpfs rw,inode64
    31 28 0:44 / /mnt/my\040nas rw,relatime - nfs4 nas.local:/export rw,vers=4.2,rsize=1048576,addr=10.0.0.2
    32 28 0:45 / /mnt/old rw,relatime shared:17 master:1 propagate_from:2 - nfs nas:/old rw,vers=3
    33 28 0:50 / /home/ann/remote rw,nosuid,nodev,relatime shared:410 - fuse.sshfs ann@host:/home/ann rw,user_id=1000
    34 28 0:51 / /mnt/share rw,relatime - cifs //server/share rw,vers=3.1.1,cache=strict,username=ann
    35 28 0:52 / /mnt/windows rw,relatime - fuseblk /dev/sda1 rw,user_id=0,group_id=0,allow_other
    36 28 0:53 / /run/user/1000/doc rw,nosuid,nodev - fuse.portal portal rw,user_id=1000
    37 28 0:54 / /mnt/host rw,relatime - virtiofs myfs rw
    38 28 0:55 / /c rw,noatime - 9p C:\134 rw,dirsync,aname=drvfs;path=C:\;uid=1000
    39 28 0:56 / /var/lib/docker/overlay2/a-b/merged rw,relatime - overlay overlay rw,lowerdir=/l/-,upperdir=/u
    40 28 0:57 /sub-volume /srv/- rw - btrfs /dev/sdb1 rw,space_cache=v2
    41 28 0:58 / /mnt/ceph rw - ceph 10.0.0.1:6789:/ rw,name=admin
    42 28 0:59 / /host rw - fakeowner grpcfuse rw
    43 28 0:60 / /media/sf rw,nodev shared:1 - vboxsf shared rw
    45 28 0:63 / /mnt/ceph2 rw,nosuid,nodev,relatime - fuse.ceph-fuse ceph-fuse rw,user_id=0,group_id=0,allow_other
    46 28 0:64 / /run/user/1000/gvfs rw,nosuid,nodev,relatime - fuse.gvfsd-fuse gvfsd-fuse rw,user_id=1000,group_id=1000
    47 28 0:65 / /mnt/blobs rw,nosuid,nodev,relatime - fuse.blobfuse2 blobfuse2 rw,user_id=0,group_id=0,allow_other
    broken line
    44 28 0:61
""")

NETWORK = {"0:44": "nfs4", "0:45": "nfs", "0:50": "fuse.sshfs", "0:51": "cifs", "0:55": "9p", "0:58": "ceph"}
NETWORK |= {"0:63": "fuse.ceph-fuse", "0:64": "fuse.gvfsd-fuse", "0:65": "fuse.blobfuse2"}
BETWEEN_KERNELS = {"0:54": "virtiofs", "0:59": "fakeowner", "0:60": "vboxsf"}
LOCAL = {"259:2": "ext4", "0:25": "tmpfs", "0:52": "fuseblk", "0:53": "fuse.portal", "0:56": "overlay"}
LOCAL |= {"0:57": "btrfs", "0:21": "proc"}
TYPES = NETWORK | BETWEEN_KERNELS | LOCAL


@pytest.mark.parametrize("number", TYPES)
def test_type_is_found_by_device_number(number: str) -> None:
    assert filesystem.find_type(MOUNTS, number) == TYPES[number]


@pytest.mark.parametrize("number", ["0:4", "259:20", "0:61", "0:62", ""])
def test_device_that_the_table_does_not_name_has_no_type(number: str) -> None:
    assert filesystem.find_type(MOUNTS, number) is None


@pytest.fixture
def on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes the kernel say that the test's directory is on a file system of some type."""

    def claim(kind: str) -> None:
        device = os.stat(tmp_path).st_dev
        table = tmp_path.parent / f"{tmp_path.name}-mountinfo"
        number = f"{os.major(device)}:{os.minor(device)}"
        table.write_text(f"28 1 {number} / {tmp_path} rw,relatime shared:1 - {kind} source rw\n")
        monkeypatch.setattr(filesystem, "_MOUNTS", str(table))

    return claim


@pytest.mark.parametrize("flag", ["r", "w", "c", "n"])
@pytest.mark.parametrize("kind", [*NETWORK.values(), *BETWEEN_KERNELS.values()])
def test_shelf_on_a_shared_file_system_is_refused_and_stays(
    kind: str, flag: str, on: Any, tmp_path: Path, refused: Any, unchanged: Any
) -> None:
    with coshelf.open(tmp_path / "my.shelf") as shelf:
        shelf["a"] = 1
    on(kind)
    with unchanged(tmp_path):
        error = refused(coshelf.UnsafeFilesystem, tmp_path / "my.shelf", flag, kind, "local disk")
        refused(coshelf.UnsafeFilesystem, tmp_path / "new.shelf", flag, kind)
        refused(coshelf.UnsafeFilesystem, tmp_path / "missing" / "new.shelf", flag, kind)
    assert isinstance(error, OSError)


@pytest.mark.parametrize("kind", [*list(LOCAL.values())[:-1], "xfs", "zfs", "fuse", "fuse.unknown", "f2fs", "ext2"])
def test_local_file_system_is_not_refused(kind: str, on: Any, tmp_path: Path) -> None:
    on(kind)
    with coshelf.open(tmp_path / "my.shelf") as shelf:
        shelf["a"] = 1


def test_link_onto_a_shared_file_system_is_refused(on: Any, tmp_path: Path, refused: Any) -> None:
    on("nfs4")
    (tmp_path / "link").symlink_to(tmp_path / "my.shelf")
    refused(coshelf.UnsafeFilesystem, tmp_path / "link", "c", named=str(tmp_path / "my.shelf"))


def test_without_a_mount_table_nothing_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filesystem, "_MOUNTS", str(tmp_path / "no-such-table"))
    with coshelf.open(tmp_path / "my.shelf") as shelf:
        shelf["a"] = 1


_SERVER = SCRIPTS / "fuse_server.py"


@pytest.mark.skipif(os.geteuid() != 0 or not os.path.exists("/dev/fuse"), reason="only root can mount")
@pytest.mark.parametrize("kind", ["fuse.sshfs", "fuse.rclone"])
def test_real_mount_of_a_network_file_system_is_refused(kind: str, tmp_path: Path, refused: Any) -> None:
    place = tmp_path / "remote"
    place.mkdir()
    server = subprocess.Popen([sys.executable, _SERVER, str(place), kind], stdout=subprocess.PIPE, text=True)
    with server:
        assert server.stdout
        if server.stdout.readline() != "mounted\n":
            pytest.skip("cannot mount here")
        try:
            assert filesystem.type_of(str(place)) == kind
            for flag in "rwcn":
                refused(coshelf.UnsafeFilesystem, place / "my.shelf", flag, kind)
        finally:
            umount = shutil.which("umount")
            assert umount
            subprocess.run([umount, "--lazy", str(place)], check=True)
            server.kill()
