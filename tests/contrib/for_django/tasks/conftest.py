"""The site whose tasks are run: ``scripts/site``. Tasks need Django 6, and that needs Python 3.12."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import django
import pytest
from django.test import override_settings

SITE = Path(__file__).parent / "scripts" / "site"

if django.VERSION < (6, 0):
    collect_ignore_glob = ["test_*"]  # tests/other_interpreters.py runs them


@pytest.fixture
def location(request: pytest.FixtureRequest, path: str) -> str:
    """Where the queues are: on the engine of the parameter, or on lmdb."""
    engine = getattr(request, "param", "lmdb")
    return {"lmdb": path, "memory": "memory:", "sqlite": f"sqlite:{path}"}[engine]


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch, location: str) -> Iterator[Any]:
    """The tasks of the site."""
    monkeypatch.syspath_prepend(str(SITE))
    setting = {"BACKEND": "coshelf.contrib.django.tasks.CoshelfBackend", "LOCATION": location, "QUEUES": []}
    with override_settings(TASKS={"default": setting}):
        import site_tasks

        yield site_tasks
