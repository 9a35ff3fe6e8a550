"""The postgresql engine: settings, limits, forks, many writers, and tables that others have."""

from __future__ import annotations

import os
import pickle
import random
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest
from postgresql import Postgresql, new_server

import coshelf
from coshelf.errors import (
    Conflict,
    DamagedRecord,
    FormatTooNew,
    KeyTooLong,
    NotAShelf,
    ShelfLocked,
    ShelfPermissionError,
    TransactionInProgress,
    Unsupported,
    UntrustedValue,
)

Shelf = coshelf.Shelf[Any, Any]


class Mine:
    """No plain data."""


def admin(server: Postgresql) -> psycopg.Connection[Any]:
    return psycopg.connect(server.admin_url, autocommit=True)


def test_values_are_plain_data_unless_trusted_or_signed(postgresql: Postgresql) -> None:
    url = postgresql.url()
    with coshelf.open(url, trust=True) as shelf:
        shelf["a"] = Mine
        assert shelf["a"] is Mine
    with coshelf.open(url) as shelf:
        with pytest.raises(UntrustedValue):
            shelf["a"]
        with pytest.raises(coshelf.UnwritableValue, match="would not be read again"):
            shelf["a"] = Mine
    with coshelf.open(url, sign=b"s" * 16) as shelf:
        shelf["a"] = Mine
        assert shelf["a"] is Mine
    other = postgresql.url()
    coshelf.open(other, sign=b"s" * 16).close()
    with admin(postgresql) as connection:  # a signed record, moved to another shelf
        connection.execute(
            "INSERT INTO coshelf_entries (shelf, key, version, record)"
            " SELECT (SELECT max(id) FROM coshelf_shelves), key, version, record"
            " FROM coshelf_entries JOIN coshelf_shelves ON id = shelf WHERE name = %s",
            (url.rpartition("=")[2].encode(),),
        )
    with coshelf.open(other, sign=b"s" * 16) as shelf, pytest.raises(UntrustedValue):
        shelf["a"]


@pytest.mark.parametrize(
    ("setting", "durability", "acknowledged"),
    [("off", "interval", "soon durable"), ("off", "commit", "durable"), ("on", "interval", "durable")],
)
def test_what_an_acknowledgement_means_is_asked_for(
    postgresql: Postgresql, monkeypatch: pytest.MonkeyPatch, setting: str, durability: Any, acknowledged: str
) -> None:
    from coshelf.engines.postgresql import tables

    def as_with_fsync(*arguments: Any, **options: Any) -> Any:
        found = find_or_make(*arguments, **options)
        return tables.Shelf(**{**vars(found), "fsync": True})

    find_or_make = tables.find_or_make
    monkeypatch.setattr("coshelf.engines.postgresql.engine.find_or_make", as_with_fsync)
    url = postgresql.url(options=f"-c%20synchronous_commit%3D{setting}")
    with coshelf.open(url, durability=durability) as shelf:
        assert shelf.capabilities.acknowledged == acknowledged
        assert str(shelf.capabilities.server).startswith("PostgreSQL 1")
        shelf["a"] = 1
        shelf.sync()
        with pytest.raises(Unsupported):
            coshelf.open(url, durability=durability, require=["watch=doorbell"])


def test_limits_are_looked_at_before_anything_is_sent(postgresql: Postgresql) -> None:
    with coshelf.open(postgresql.url()) as shelf:
        shelf["k" * 2599] = 1
        with pytest.raises(KeyTooLong):
            shelf["k" * 2600] = 1
        with pytest.raises(KeyTooLong):
            shelf.update({"a": 1, "k" * 2600: 1})
        assert len(shelf) == 1
        noise = random.Random(1).randbytes(2595)  # which no compression makes fit
        shelf[noise] = 1
        assert shelf[noise] == 1


def test_batches_of_many_megabytes_are_one_commit(postgresql: Postgresql) -> None:
    with coshelf.open(postgresql.url()) as shelf:
        big = {number: bytes(9_000_000) for number in range(5)}
        shelf.update(big)
        assert dict(shelf.items()) == big
        assert shelf.check().ok
        with shelf.snapshot() as snapshot:
            shelf.clear()
            assert [len(value) for value in snapshot.values(reverse=True)] == [9_000_000] * 5


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # the pool has a thread
def test_child_and_parent_go_on_after_a_fork(postgresql: Postgresql) -> None:
    with coshelf.open(postgresql.url()) as shelf, shelf.snapshot() as snapshot:
        shelf["a"] = 1
        pid = os.fork()
        if not pid:
            code = 1
            try:
                assert shelf["a"] == 1
                shelf["b"] = 2
                snapshot.close()
                shelf.close()
                code = 0
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert dict(snapshot) == {}
        assert dict(shelf) == {"a": 1, "b": 2}


def test_shelf_is_pickled_unless_its_url_has_a_password(postgresql: Postgresql) -> None:
    with coshelf.open(postgresql.url()) as shelf:
        shelf["a"] = 1
        with pickle.loads(pickle.dumps(shelf)) as again:
            assert again["a"] == 1


def test_waiting_wakes_when_another_process_commits(postgresql: Postgresql) -> None:
    url = postgresql.url()
    with coshelf.open(url) as shelf:
        code = f"import coshelf; print(coshelf.open({url!r}).wait('a', 300))"
        waiting = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        shelf["a"] = "here"
        assert waiting.communicate(timeout=300)[0] == "here\n"


def test_writers_of_all_kinds_neither_lose_nor_wait_for_each_other_for_ever(postgresql: Postgresql) -> None:
    url = postgresql.url()
    keys = list("abcdefghij")
    failures: list[BaseException] = []

    def work(shelf: Shelf, seed: int) -> None:
        chance = random.Random(seed)
        try:
            for _ in range(40):
                chance.shuffle(keys_here := list(keys))
                kind = chance.randrange(6)
                if kind == 0:
                    shelf.update(dict.fromkeys(keys_here, seed))
                elif kind == 1:
                    shelf[keys_here[0]] = seed
                elif kind == 2:
                    shelf.pop(keys_here[0], None)
                elif kind == 3:
                    shelf.sub("sub").clear()
                elif kind == 4:
                    shelf.sub("sub").update(dict.fromkeys(keys_here, seed))
                else:
                    try:
                        with shelf.transaction() as transaction:
                            transaction[keys_here[0]] = transaction.get(keys_here[1])
                            transaction.pop(keys_here[2], None)
                    except Conflict:
                        pass
                shelf.modify("count", lambda count: count + 1)
        except BaseException as error:
            failures.append(error)

    with coshelf.open(url, timeout=60) as shelf:
        shelf["count"] = 0
        threads = [threading.Thread(target=work, args=(shelf, seed)) for seed in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(300)
        assert failures == []
        assert shelf["count"] == 6 * 40


def test_all_counts_of_many_threads_arrive(postgresql: Postgresql) -> None:
    with coshelf.open(postgresql.url()) as shelf:
        threads = [
            threading.Thread(
                target=lambda: [shelf.modify("count", lambda count: count + 1, default=0) for _ in range(25)]
            )
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert shelf["count"] == 200


def test_transaction_conflicts_at_its_end_and_is_noticed_by_its_thread(postgresql: Postgresql) -> None:
    with coshelf.open(postgresql.url()) as shelf:
        shelf["a"] = 1
        with pytest.raises(Conflict) as conflict, shelf.transaction() as transaction:
            transaction["a"] += 1
            assert shelf["a"] == 2, "the shelf is the transaction's view"
            with pytest.raises(TransactionInProgress):
                shelf.close()
            other = threading.Thread(target=lambda: shelf.__setitem__("a", 7))
            other.start()
            other.join()
        assert len(conflict.value.keys) == 1
        assert shelf["a"] == 7
        shelf["a"] = 8


def test_lock_of_another_session_is_waited_for_with_a_limit(postgresql: Postgresql) -> None:
    with coshelf.open(postgresql.url(), timeout=3) as shelf, admin(postgresql) as connection:
        engine: Any = shelf._handle.engine
        connection.execute("SELECT pg_advisory_lock(%s)", (engine._shelf.lock,))
        with pytest.raises(ShelfLocked):
            shelf["a"] = 1
        with pytest.raises(ShelfLocked):
            shelf.clear()
        connection.execute("SELECT pg_advisory_unlock_all()")
        shelf["a"] = 1


def test_use_of_all_connections_is_said(postgresql: Postgresql) -> None:
    with coshelf.open(postgresql.url(connections="2"), timeout=3) as shelf:
        with shelf.snapshot(), shelf.snapshot(), pytest.raises(coshelf.Unavailable, match="all 2 connections"):
            shelf["a"] = 1
        shelf["a"] = 1


def test_record_that_somebody_else_wrote_is_damage(postgresql: Postgresql) -> None:
    url = postgresql.url()
    with coshelf.open(url) as shelf, admin(postgresql) as connection:
        shelf.update(a=1, b=2)
        number = (shelf._handle.engine._shelf.number,)  # type: ignore[attr-defined]
        connection.execute("UPDATE coshelf_entries SET record = 'x' WHERE shelf = %s AND key = '0a'", number)
        connection.execute("UPDATE coshelf_entries SET record = record || 'x' WHERE shelf = %s AND key = '0b'", number)
        for key in "ab":
            with pytest.raises(DamagedRecord):
                shelf[key]
        shelf.update(a=1, b=2)
        assert dict(shelf) == {"a": 1, "b": 2}


def test_tables_that_are_not_ours_and_later_formats_are_refused(postgresql: Postgresql) -> None:
    url = postgresql.url()
    coshelf.open(url).close()
    with admin(postgresql) as connection:
        connection.execute("UPDATE coshelf_shelves SET format = 2 WHERE name = %s", (url.rpartition("=")[2].encode(),))
        with pytest.raises(FormatTooNew):
            coshelf.open(url)
        connection.execute("CREATE SCHEMA foreign_one")
        connection.execute("CREATE TABLE foreign_one.coshelf_shelves (nothing int)")
        with pytest.raises(NotAShelf):
            coshelf.open(postgresql.url(options="-c%20search_path%3Dforeign_one"))
        connection.execute("CREATE SCHEMA without_times")
        old = postgresql.url(options="-c%20search_path%3Dwithout_times")
        coshelf.open(old).close()
        connection.execute("ALTER TABLE without_times.coshelf_entries DROP COLUMN expires")
        with pytest.raises(NotAShelf, match=r'column "expires" does not exist'):
            coshelf.open(old)
        connection.execute("CREATE SCHEMA another")
        with coshelf.open(url.replace("?", "?options=-c%20search_path%3Danother&")) as shelf:
            assert len(shelf) == 0


def test_user_without_rights_is_told(postgresql: Postgresql) -> None:
    url = postgresql.url()
    with coshelf.open(url) as shelf, admin(postgresql) as connection:
        shelf["a"] = 1
        connection.execute("CREATE USER reader")
        with pytest.raises(ShelfPermissionError):
            coshelf.open(url.replace("postgres@", "reader@"), "r")
        connection.execute("GRANT SELECT ON coshelf_shelves, coshelf_entries TO reader")
        with coshelf.open(url.replace("postgres@", "reader@"), "r") as reader:
            assert dict(reader) == {"a": 1}
        with coshelf.open(url.replace("postgres@", "reader@"), "w") as reader, pytest.raises(ShelfPermissionError):
            reader["a"] = 2


def test_backup_becomes_a_file(postgresql: Postgresql, tmp_path: Path) -> None:
    with coshelf.open(postgresql.url()) as shelf:
        shelf.update(dict.fromkeys(range(1000), "text"))
        assert shelf.backup(tmp_path / "copy.shelf") == 1000
        with coshelf.open(tmp_path / "copy.shelf") as copy:
            assert copy == shelf
            copy["new"] = 1


def test_missing_extra_is_said_with_the_way_to_install_it() -> None:
    code = (
        "import sys; sys.modules['psycopg_pool'] = None; import coshelf\n"
        "try: coshelf.open('postgresql://localhost/db')\n"
        "except coshelf.MissingExtra as error: print(error)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300).stdout
    assert "pip install 'coshelf[postgresql]'" in out


def test_server_that_is_not_who_the_certificate_says_is_refused(tmp_path: Path) -> None:
    """TLS is libpq's own, told by the URL."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    server = new_server()
    try:
        server.make()
        for name in ("server", "other"):
            command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
            command += ["-subj", "/CN=localhost", "-keyout", f"{name}.key", "-out", f"{name}.crt"]
            subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
        server.start(certificate=tmp_path / "server.crt", key=tmp_path / "server.key")
        if not server.has_tls:
            pytest.skip("this PostgreSQL was built without TLS")
        with coshelf.open(server.url(sslmode="verify-ca", sslrootcert=str(tmp_path / "server.crt"))) as shelf:
            for number in range(5):
                shelf["a"] = number
            pid = shelf._handle.engine._server.rows("SELECT pg_backend_pid()", ())[0][0]  # type: ignore[attr-defined]
            assert server.encrypted(pid)
        with pytest.raises(ShelfPermissionError, match="certificate verify failed"):
            coshelf.open(server.url(sslmode="verify-ca", sslrootcert=str(tmp_path / "other.crt")))
    finally:
        server.remove()


def test_wrong_password_is_said_at_once_and_a_right_one_comes_from_where_libpq_looks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = new_server()
    try:
        server.make(authentication="scram-sha-256")
        server.start()
        with admin(server) as connection:
            connection.execute("CREATE USER ann SUPERUSER PASSWORD 'sesame'")
        url = server.url().replace("postgres@", "ann@")
        for password in ("wrong", None):
            if password is not None:
                monkeypatch.setenv("PGPASSWORD", password)
            else:
                monkeypatch.delenv("PGPASSWORD")
            began = time.monotonic()
            with pytest.raises(ShelfPermissionError, match="password"):
                coshelf.open(url)
            assert time.monotonic() - began < 100
        monkeypatch.setenv("PGPASSWORD", "sesame")
        with coshelf.open(url) as shelf:
            shelf["a"] = 1
    finally:
        server.remove()
