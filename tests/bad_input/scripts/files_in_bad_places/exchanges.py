import os
import sys

staging, own = sys.argv[1:]


def all_of(path):
    try:
        return [os.path.join(path, name) for name in os.listdir(path)]
    except OSError:
        return []


print("ready", flush=True)
while True:
    for path in [*all_of(staging), *(inner for name in all_of(staging) for inner in all_of(name))]:
        try:
            if not os.path.isfile(path):
                continue
            os.rename(path, own + "/taken")
            with open(path, "wb") as file:
                file.write(b"\x80\x02X\x04\x00\x00\x00evilq\x00.")
        except OSError:
            pass
