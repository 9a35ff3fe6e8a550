"""Instructor's DiskCache below a client whose completions are made here."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import instructor
from elsewhere import at_once, elsewhere
from instructor.cache import DiskCache
from pydantic import BaseModel


class User(BaseModel):
    name: str


def test_client_answers_from_the_cache_also_after_reopening(tmp_path: Path) -> None:
    calls = []

    def complete(*_args: Any, **_options: Any) -> SimpleNamespace:
        calls.append(1)
        message = SimpleNamespace(content=User(name="Ann").model_dump_json())
        return SimpleNamespace(choices=[SimpleNamespace(message=message, finish_reason="stop")], usage={})

    client = instructor.from_litellm(complete, mode=instructor.Mode.JSON)
    for _ in range(3):
        answer = client.create(
            response_model=User,
            cache=DiskCache(directory=str(tmp_path)),
            cache_ttl=60,
            messages=[{"role": "user", "content": "Who?"}],
            model="local",
        )
        assert answer.name == "Ann"
    assert calls == [1]


WORK = """
import sys
from instructor.cache import DiskCache
cache = DiskCache(directory=sys.argv[1])
for number in range(100):
    cache.set(f"{sys.argv[2]} {number}", {"n": number}, ttl=600)
print(sum(cache.get(f"{name} {number}") == {"n": number} for name in "ab" for number in range(100)))
"""


def test_processes_write_together_and_a_later_one_reads(tmp_path: Path) -> None:
    at_once(WORK, [(tmp_path, "a"), (tmp_path, "b")])
    assert elsewhere(WORK, tmp_path, "c") == "200"
