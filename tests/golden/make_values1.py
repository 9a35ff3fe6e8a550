"""How values1.json was made. It is never made again: it stands for the records that users have.

Nonces are random and Zstandard's output differs between versions, so what is fixed is that these bytes are read, and
that those without either are written.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from coshelf import records
from coshelf.keys import encode
from coshelf.system.extras import zstd
from coshelf.values.codec import Layer
from coshelf.values.compression import Compression, Compressor, Decompressor
from coshelf.values.encryption import Cipher, check_value, key_id
from coshelf.values.headers import IDS
from coshelf.values.layered import LayeredCodec
from coshelf.values.pickles import Pickles
from coshelf.values.signatures import Signature

SECRET, SHELF_ID = bytes(range(32)), bytes(range(16))
VALUES: dict[str, Any] = {
    "pickle": {"name": "Zoë", "tags": ("x", 1)},
    "msgspec": {"name": "Zoë", "tags": ["x", 1, 2.5, None], 7: b"\xff"},
    "json": {"name": "Zoë", "tags": ["x", 1, 2.5, None], "lone": "\ud800"},
    "bytes": b"bytes\x00\xff",
    "str": "Zoë \udc80",
}
SAMPLES = [json.dumps({"name": f"user {n}", "email": f"user{n}@example.com"}).encode() for n in range(500)]


def codec(name: str, dictionary: bytes, *, current: int, compress: bool, encrypt: bool, sign: bool) -> LayeredCodec:
    def lookup(_: int, encrypted: bool) -> bytes:
        return dictionary

    compressor = Compressor(3, lambda: current, lookup, encrypted=encrypt) if compress else None
    layers: list[Layer] = [Compression(Decompressor(lookup), compressor)]
    layers += [Cipher((SECRET,), SHELF_ID)] if encrypt else []
    layers += [Signature((SECRET,), SHELF_ID)] if sign else []
    return LayeredCodec(Pickles(4), layers, IDS.get(name))


def main() -> None:
    trained = zstd().train_dict(SAMPLES, 512)
    lines = []
    for name, value in VALUES.items():
        for compress in ("", "zstd", "dictionary"):
            for encrypt in (False, True):
                for sign in (False, True):
                    made = codec(
                        name,
                        trained.dict_content,
                        current=trained.dict_id if compress == "dictionary" else 0,
                        compress=bool(compress),
                        encrypt=encrypt,
                        sign=sign,
                    )
                    stored = value * 20 if compress and isinstance(value, (str, bytes)) else value
                    stored = {"again": [value] * 20} if compress and isinstance(value, dict) else stored
                    body = made.dump("k", encode("k"), stored)
                    lines.append(
                        {
                            "codec": name,
                            "compress": compress,
                            "encrypt": encrypt,
                            "sign": sign,
                            "value": repr(stored),
                            "body": body.hex(),
                        }
                    )
    golden = {
        "secret": SECRET.hex(), "shelf id": SHELF_ID.hex(), "key": encode("k").hex(),
        "dictionary id": trained.dict_id, "dictionary": trained.dict_content.hex(),
        "key id": key_id(SECRET).hex(), "check": check_value(SECRET, SHELF_ID).hex(), "records": lines,
    }  # fmt: skip
    assert all(bytes.fromhex(line["body"])[0] in (records.HEADERED, records.PICKLE) for line in lines)
    with open(sys.argv[1], "w", encoding="ascii") as file:
        json.dump(golden, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    main()
