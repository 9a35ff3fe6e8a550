"""The application of the page about FastAPI, in two workers of uvicorn."""

from __future__ import annotations

import http.client
import json
import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from page_blocks import blocks_of
from program import PATIENCE, Program, wait_for

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "fastapi-and-asyncio.md"


@pytest.fixture
def address() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:  # the path of a socket has at most 107 bytes
        yield os.path.join(folder, "s")


def ask(address: str, method: str, path: str, body: object = None) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("localhost", timeout=PATIENCE)
    try:
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(PATIENCE)
        connection.sock.connect(address)
        connection.request(method, path, json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


@pytest.mark.long  # it starts a web server
@pytest.mark.timeout(300)
def test_application_of_the_page_answers(tmp_path: Path, address: str) -> None:
    (block,) = [block for block in blocks_of(PAGE) if block.file]
    assert block.file == "app.py"
    (tmp_path / block.file).write_text(block.text, "utf-8")
    program = Program(
        *("uvicorn", "app:app", "--workers", "2", "--uds", address), folder=tmp_path, PYTHONPATH=str(tmp_path)
    )
    try:
        wait_for(lambda: "Application startup complete" in program.said(), "uvicorn")
        assert ask(address, "GET", "/users/ann") == (404, {"detail": "no user 'ann'"})
        counts = [ask(address, "PUT", "/users/ann", {"age": age})[1] for age in range(10)]
        assert counts == list(range(1, 11))
        assert ask(address, "GET", "/users/ann") == (200, {"age": 9})
    finally:
        assert program.stop() == 0, program.said()
