"""No password of a URL is shown, however the URL is malformed."""

from __future__ import annotations

import itertools
import logging
import random
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

import coshelf
from coshelf.cli import main
from coshelf.engines.urls import without_secrets

SECRET = "geheimnis"
SEED = 11

SCHEMES = (
    *("redis", "rediss", "redis+cluster", "redis+sentinel", "valkey", "valkeys+sentinel", "postgresql", "postgres"),
    *("s3", "gs", "az", "memory", "files", "lmdb", "sqlite", "http", "rdis", "REDIS", "PostgreSQL"),
)
PASSWORDS = (
    *("{}", "{}/x", "x/{}", "x@{}", "{}@x", "a/b@{}", "{}#x", "x#{}", "x?{}", "{}?x", "x:{}", "100%{}", "%{}", "%zz{}"),
    *("[{}", "]{}[", "{}\\x", "é{}", "{} x", "\t{}", "℀{}", "{}/x@y", "a?b#{}/c@d", "{}&x=y"),
)
FORMS = (
    "{scheme}://u:{password}@127.0.0.1:9/0",
    "{scheme}://:{password}@127.0.0.1:9",
    "{scheme}://u:{password}@",
    "{scheme}:u:{password}@",
    "{scheme}:u:{password}@127.0.0.1:9/0",
    "{scheme}:/u:{password}@127.0.0.1:9/0",
    "{scheme}//u:{password}@127.0.0.1:9/0",
    " {scheme}://u:{password}@127.0.0.1:9/0",
    "'{scheme}://u:{password}@127.0.0.1:9/0'",
    "://u:{password}@127.0.0.1:9/0",
    "u:{password}@127.0.0.1:9/0",
    "{scheme}://u:{password}@127.0.0.1:port/0",
    "{scheme}://u:{password}@127.0.0.1:9/a/b/c/{{}}",
    "{scheme}://127.0.0.1:9/0?password={password}",
    "{scheme}://127.0.0.1:9/0?sslpassword={password}&nonsense=1",
    "{scheme}://127.0.0.1:9/0?secret_access_key={password}&endpoint=http://127.0.0.1:9",
    "{scheme}://127.0.0.1:9/0?buckets={password}",
    "{scheme}://127.0.0.1:9/0?wait={password}&evicts={password}",
    "{scheme}://127.0.0.1:9/0?connections={password}",
    "{scheme}://u:{password}@127.0.0.1:9/0#x",
    "{scheme}://u:{password}@[::1/0",
    "{scheme}://u:{password}@127.0.0.1:99999999/0",
)


def malformed() -> Iterator[str]:
    """Some 500 of the many thousand, each form and each password among them."""
    every = list(itertools.product(SCHEMES, FORMS, PASSWORDS))
    random.Random(SEED).shuffle(every)
    # An absolute path may well have a colon and an "@".
    possible = (
        each for each in every if each[0] not in ("files", "lmdb", "sqlite") or not each[1].startswith("{scheme}:/u")
    )
    for scheme, form, password in itertools.islice(possible, 500):
        yield form.format(scheme=scheme, password=password.format(SECRET))


URLS = sorted(set(malformed()))


def chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "x")
    monkeypatch.setenv("GOOGLE_SKIP_SIGNATURE", "true")
    monkeypatch.setenv("GOOGLE_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AZURE_STORAGE_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")


def test_there_are_enough_and_of_every_kind() -> None:
    assert len(URLS) > 400
    for part in SCHEMES:
        assert any(part in url for url in URLS)


def test_no_error_shows_a_password(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    shown = {}
    for url in URLS:
        try:
            shelf = coshelf.open(url, "r", timeout=0)
        except (coshelf.CoshelfError, OSError, ValueError, TypeError) as error:
            said = [text for each in chain(error) for text in (str(each), repr(each))]
            said += traceback.format_exception(error)
        else:
            said = [repr(shelf), shelf.name]
            shelf.close()
        shown[url] = [text for text in said if SECRET in text]
    assert {url: found[0] for url, found in shown.items() if found} == {}
    assert SECRET not in caplog.text


COMMANDS: dict[str, list[str]] = {
    **{name: ["URL"] for name in ("info", "stats", "ls", "check", "compact")},
    **{name: ["URL", "key"] for name in ("get", "edit", "del")},
    "set": ["URL", "key", "value"],
    "copy": ["URL", "memory:"],
    "export": ["URL", "-"],
    "import": ["URL", "memory:"],
}


def test_no_command_shows_a_password(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("coshelf.opening.usable_timeout", lambda _: 0.0)  # not all commands have --timeout
    shown = {}
    for number, url in enumerate(URLS[::4]):
        name = sorted(COMMANDS)[number % len(COMMANDS)]
        line = [url if each == "URL" else each for each in COMMANDS[name]]
        timeout = ["--timeout", "0"] if name == "copy" else []
        monkeypatch.setattr(sys, "argv", ["coshelf", name, *timeout, "--", *line])
        with pytest.raises(SystemExit):
            main()
        said = "".join(capsys.readouterr())
        if SECRET in said:
            shown[f"{name} {url}"] = said
    assert shown == {}


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis://ann:secret@host:6379/0/shelf?wait=1", "redis://host:6379/0/shelf"),
        ("redis+cluster://ann:secret@one:1,two:2/shelf", "redis+cluster://one:1,two:2/shelf"),
        ("redis://ann:se/c@ret@host/0", "redis://host/0"),
        ("postgresql://ann@[::1]:5432/app", "postgresql://[::1]:5432/app"),
        ("s3://KEY:SE/CRET@bucket/prefix", "s3://bucket/prefix"),
        ("redis:ann:secret@", "redis://"),
        ("redis://ann:se?cret@host", "redis:..."),
        ("redis://host/0?password=a@secret", "redis:..."),
        ("redis://ann:secret", "redis:..."),
        ("redis://ann:123@host:secret", "redis:..."),
        ("a.shelf", "a.shelf"),
        ("/data/a:b@c", "/data/a:b@c"),
        ("sqlite:/data/a:b@c", "sqlite:/data/a:b@c"),
        ("sqlite://ann:secret@host/db", "sqlite:..."),
        (" redis://ann:secret@host", "(a URL without a scheme)"),
    ],
)
def test_what_is_shown_of_a_url(url: str, said: str) -> None:
    assert without_secrets(url) == said
