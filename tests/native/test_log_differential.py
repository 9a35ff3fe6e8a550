"""Random calls of a log give what a dict gives; damaged logs give errors, and end nothing."""

from __future__ import annotations

import mmap
import os
import random
import resource
import signal
import struct
import traceback
from pathlib import Path
from typing import Any

import pytest

from coshelf.engines.lmdb.delta.log_file import read_log
from coshelf.errors import DamagedShelf

CHANGED = -6
FIELDS = (0, 8, 12, 16, 24, 128, 136, 192, *(256 + 64 * segment + 8 * word for segment in (0, 1) for word in range(5)))
HOSTILE = (0, 1, 7, 8, 63, 64, 65, 0xFFFFFFFF, 1 << 20, 1 << 32, (1 << 63) + 1, (1 << 64) - 1, (1 << 64) - 8)


def key_of(choices: random.Random) -> bytes:
    return b"k%d" % choices.randrange(60) * choices.choice((1, 1, 1, 9))


def body_of(choices: random.Random) -> bytes:
    return choices.randbytes(choices.choice((0, 1, 5, 40, 300)))


class Model:
    """What a log and a base hold together: keys with bodies and numbers. Deletions have no body."""

    def __init__(self) -> None:
        self.rows: dict[bytes, tuple[bytes, int]] = {}
        self.number = 0
        self.flushed = 0

    def commit(self, rows: list[tuple[bytes, bytes, int]], number: int) -> None:
        assert number > self.number
        self.number = number
        self.rows.update({key: (body, number) for key, body, _ in rows})

    def waiting(self, start: bytes, stop: bytes | None) -> list[tuple[bytes, bytes]]:
        from logs import sealed

        return [
            (key, sealed(key, *row))
            for key, row in sorted(self.rows.items())
            if row[1] > self.flushed and start <= key and (stop is None or key < stop)
        ]


@pytest.mark.parametrize("seed", range(4))
def test_random_calls_give_what_a_dict_gives(files: Any, seed: int) -> None:
    from logs import row

    choices = random.Random(seed)
    model, logs = Model(), [files.made(5), files.open()]
    model.number = 5
    for _ in range(800):
        log = choices.choice(logs)
        match choices.randrange(12):
            case 0 | 1 | 2:
                rows = [row(key_of(choices), body_of(choices))]
                model.commit(rows, log.put(*rows[0]))
            case 3:
                rows = [row(key_of(choices), body_of(choices)) for _ in range(choices.randrange(6))]
                model.commit(rows, log.commit(rows, False, [], log.stamp(), None))
            case 4:
                stamp, checked = log.stamp(), key_of(choices)
                between = [row(key_of(choices), b"between")]
                model.commit(between, log.put(*between[0]))
                rows = [row(checked, b"checked")]
                number = log.commit(rows, False, [checked], stamp, None)
                assert (number == CHANGED) == (between[0][0] == checked)
                if number > 0:
                    model.commit(rows, number)
            case 5:
                before = model.waiting(b"", None)
                with pytest.raises(ZeroDivisionError):
                    log.commit([row(key_of(choices), b"x")], False, [], log.stamp(), lambda: 1 // 0)
                assert log.rows(b"", None, model.flushed) == before
            case 6:
                start, stop = key_of(choices), choices.choice((None, key_of(choices)))
                assert log.rows(start, stop, model.flushed) == model.waiting(start, stop)
                assert log.count(start, stop) >= len(model.waiting(start, stop))
            case 7:
                number = log.take_number()
                assert number > model.number
                model.number = number
            case 8 if not choices.randrange(10):
                taken, last = log.swap(model.flushed)
                assert set(taken) <= set(model.waiting(b"", None)) | {pair for pair in taken if _is_old(pair, model)}
                if choices.random() < 0.8:
                    model.flushed = last
                    log.remove(last)
            case 9 if not choices.randrange(20):
                log.close()
                logs.remove(log)
                logs.append(files.open())
                if choices.random() < 0.5 and logs[-1].settle():
                    assert logs[-1].problem(False) is None
            case _:
                key = key_of(choices)
                found = log.get(key)
                expected = dict(model.waiting(key, key + b"\0")).get(key)
                if expected is not None or (found is not None and _number(found) > model.flushed):
                    assert found == expected
    newest = dict(model.waiting(b"", None))
    content = read_log(files.descriptor, "log")
    assert content.problem is None
    assert {key: found.record for key, found in content.rows.items() if _number(found.record) > model.flushed} == newest


def _number(record: bytes) -> int:
    number: int = struct.unpack_from("=Q", record, len(record) - 12)[0]
    return number


def _is_old(pair: tuple[bytes, bytes], model: Model) -> bool:
    """Whether a row of one segment has a newer one in the other."""
    return _number(pair[1]) < model.rows[pair[0]][1]


def damage(files: Any, choices: random.Random) -> None:
    """Change what a log needs: a word of its header, of an index, or of a record; or many bytes anywhere."""
    from logs import FIXED, SEGMENT

    place = choices.choice((choices.choice(FIELDS), None, None))
    if place is None:
        segment = choices.randrange(2)
        in_index = 4096 + segment * (8 << 16) + 8 * choices.randrange(1 << 16)
        place = choices.choice((in_index, FIXED + segment * SEGMENT + 64 + 4 * choices.randrange(600)))
    if choices.random() < 0.2:
        os.pwrite(files.descriptor, choices.randbytes(choices.randrange(1, 3_000)), place)
        return
    wide = choices.random() < 0.5
    number = choices.choice((*HOSTILE, choices.getrandbits(64), choices.getrandbits(20)))
    os.pwrite(files.descriptor, struct.pack("=Q", number) if wide else struct.pack("=I", number & 0xFFFFFFFF), place)


def use(log: Any, choices: random.Random) -> None:
    from logs import row

    keys = [b"k%d" % number for number in range(60)]
    calls = [
        lambda: log.get(choices.choice(keys)),
        lambda: log.rows(b"", None),
        lambda: log.rows(*sorted(choices.sample(keys, 2))),
        lambda: log.count(b"k1", b"k5"),
        lambda: log.put(*row(choices.choice(keys), b"v" * choices.randrange(100))),
        lambda: log.commit([row(choices.choice(keys), b"w")] * 3, False, keys[:3], log.stamp(), None),
        lambda: log.swap(choices.randrange(100)),
        lambda: log.remove(choices.randrange(100)),
        lambda: log.problem(False),
        lambda: log.is_due,
        log.settle,
    ]
    try:
        choices.choice(calls)()
    except (ValueError, OSError):
        pass  # what a damaged log may give


def run_damaged(files: Any, seed: int, rounds: int) -> None:
    """In a child: use a log whose bytes another one changes. The mutex is left alone: it is the C library's."""
    from logs import row

    choices = random.Random(seed)
    original = bytes(4096)
    for turn in range(rounds):
        if turn % 40 == 0:
            os.ftruncate(files.descriptor, 0)
            files = type(files)(files.path.parent)
            log = files.made()
            for number in range(choices.randrange(200)):
                log.put(*row(b"k%d" % (number % 60), b"x" * (number % 50)))
                if number == 90:
                    log.swap(0)
            original = os.pread(files.descriptor, 4096, 0)
        mutex = os.pread(files.descriptor, 64, 64)
        if choices.random() < 0.3:
            os.pwrite(files.descriptor, original, 0)
        damage(files, choices)
        os.pwrite(files.descriptor, mutex, 64)
        use(log, choices)
        try:
            read_log(files.descriptor, "log")
        except DamagedShelf:
            pass


def bound_memory(more: int) -> None:
    """Of the address space, sanitizers have terabytes from the start."""
    has = int(Path("/proc/self/statm").read_text().split()[0]) * mmap.PAGESIZE
    resource.setrlimit(resource.RLIMIT_AS, (has + more, has + more))


def in_a_child(files: Any, seed: int, rounds: int) -> None:
    child = os.fork()
    if not child:
        status = 1
        try:
            signal.alarm(400 + rounds // 5)  # a hang is a signal
            bound_memory(1 << 30)
            run_damaged(files, seed, rounds)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    assert status == 0, f"a damaged log ends the process: {status}"


@pytest.mark.parametrize("seed", range(2))
def test_damaged_logs_end_nothing(files: Any, seed: int) -> None:
    in_a_child(files, seed, 120)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(100, 200))
def test_many_damaged_logs_end_nothing(files: Any, seed: int) -> None:
    in_a_child(files, seed, 3_000)
