"""Puts a trap over a value of the delta, as long as that is, with the checksum that belongs to it."""

import sys
import zlib
from pathlib import Path

from coshelf import records
from coshelf.keys import encode

path, made, alarm = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
content = bytearray(path.read_bytes())
at = content.rindex(b"\x80\x05\x95", 0, content.rindex(b"aaaaaaaa"))
end = content.index(b".", content.rindex(b"aaaaaaaa")) + 1
trap = b"\x80\x04cos\nmkdir\n\x8c" + bytes([len(alarm)]) + alarm.encode() + b"\x85R."
assert len(trap) <= end - at
body = trap.ljust(end - at, b".")
number = bytes(content[end : end + 8])
content[at:end] = body
content[end + 8 : end + 12] = zlib.crc32(number, records.checksum(encode("session"), body)).to_bytes(4, "little")
made.write_bytes(content)
if made != path:
    made.chmod(0o666)
    made.rename(path)
