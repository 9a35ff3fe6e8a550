"""Uses what needs an optional package, in a process that finds none of them. Prints what each use says, as JSON."""

import importlib
import json
import sys
from collections.abc import Callable
from typing import Any

PACKAGES = (
    "anyio",
    "backports",
    "click",
    "compression",
    "cryptography",
    "msgspec",
    "obstore",
    "psycopg",
    "redis",
    "rich",
)


class Hidden:
    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name.partition(".")[0] in PACKAGES:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Hidden())

import coshelf

SECRET = b"0123456789abcdef"
USES: dict[str, Callable[[], object]] = {
    "aio": lambda: importlib.import_module("coshelf.aio"),
    "crypto": lambda: coshelf.open("memory:", encrypt=SECRET),
    "msgspec": lambda: coshelf.open("memory:", codec="msgspec"),
    "postgresql": lambda: coshelf.open("postgresql://localhost/app", timeout=0),
    "redis": lambda: coshelf.open("redis://localhost/0/app", timeout=0),
    "s3": lambda: coshelf.open("s3://bucket/app", timeout=0),
    "zstd": lambda: coshelf.open("memory:", compress="zstd"),
}

said = {}
for extra, use in USES.items():
    try:
        use()
    except coshelf.MissingExtra as error:
        said[extra] = str(error)
print(json.dumps(said))
