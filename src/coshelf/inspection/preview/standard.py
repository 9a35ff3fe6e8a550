"""Words for instances of the standard library's classes, and of pydantic's models."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable

from coshelf.inspection.preview.reading_things import Unfit, entry_of, named_entries, part, scalar
from coshelf.inspection.preview.thing import Attribute, Thing

__all__ = ["KNOWN", "bare_model"]


def _datetime(thing: Thing) -> None:
    data = _data(thing, 10)
    data = data[:2] + bytes([data[2] & 0x7F]) + data[3:]  # the fold is in the month
    day = dt.date(int.from_bytes(data[:2], "big"), data[2], data[3])
    value = dt.datetime.combine(day, dt.time(data[4], data[5], data[6], int.from_bytes(data[7:], "big")))
    thing.become("datetime.datetime", _in_zone(repr(value), thing))


def _date(thing: Thing) -> None:
    data = _data(thing, 4)
    thing.become("datetime.date", repr(dt.date(int.from_bytes(data[:2], "big"), data[2], data[3])))


def _time(thing: Thing) -> None:
    data = _data(thing, 6)
    value = dt.time(data[0] & 0x7F, data[1], data[2], int.from_bytes(data[3:], "big"))
    thing.become("datetime.time", _in_zone(repr(value), thing))


def _data(thing: Thing, size: int) -> bytes:
    data = scalar(part(thing.arguments, 0), bytes)
    if len(data) != size:
        raise Unfit
    return data


def _in_zone(text: str, thing: Thing) -> str:
    if len(thing.arguments) < 2:
        return text
    return f"{text[:-1]}, tzinfo={thing.arguments[1].written(60, 5)})"


def _timedelta(thing: Thing) -> None:
    days, seconds, micro = (scalar(part(thing.arguments, at), int) for at in range(3))
    thing.become("datetime.timedelta", repr(dt.timedelta(days, seconds, micro)))


def _timezone(thing: Thing) -> None:
    offset = part(thing.arguments, 0).written(60, 5)
    thing.become("datetime.timezone", f"datetime.timezone{'.utc' if offset.endswith('(0)') else f'({offset})'}")


def _zone(thing: Thing) -> None:
    thing.become("zoneinfo.ZoneInfo", f"zoneinfo.ZoneInfo(key={part(thing.arguments, 0).text})")


def _path(thing: Thing) -> None:
    names = [scalar(each, str) for each in thing.arguments]
    if len(names) < thing.count:
        raise Unfit
    kind = f"pathlib.{thing.called.rpartition('.')[2]}"
    text = "/".join(names) or "."
    thing.become(kind, f"{kind}({text.replace('//', '/', 1) if text.startswith('//') else text!r})")


def _uuid(thing: Thing) -> None:
    thing.become("uuid.UUID", f"uuid.{uuid.UUID(int=scalar(entry_of(thing.state, 'int'), int))!r}")


def _pattern(thing: Thing) -> None:
    thing.become("re.Pattern", f"re.compile({part(thing.arguments, 0).text})")


def _deque(thing: Thing) -> None:
    if len(thing.arguments) != 2 or thing.state is not None:
        raise Unfit
    first = thing.content or Thing("list", brackets=("[", "]"))
    limit = thing.arguments[1]
    thing.parts, thing.count = [first], 1
    if limit.text != "None":
        thing.add([Attribute("maxlen", limit)])


def bare_model(thing: Thing) -> None:
    """Show the fields of a model of pydantic, which are in its state, and not what pydantic keeps with them."""
    fields = entry_of(thing.state, "__dict__")
    entry_of(thing.state, "__pydantic_fields_set__")
    thing.parts = [Attribute(name, value) for name, value in named_entries(fields)]
    thing.count = fields.count


KNOWN: dict[str, Callable[[Thing], None]] = {
    "datetime.datetime": _datetime,
    "datetime.date": _date,
    "datetime.time": _time,
    "datetime.timedelta": _timedelta,
    "datetime.timezone": _timezone,
    "zoneinfo.ZoneInfo._unpickle": _zone,
    "uuid.UUID": _uuid,
    "re._compile": _pattern,
    "collections.deque": _deque,
    **{
        f"pathlib.{place}{name}": _path
        for place in ("", "_local.")
        for name in ("PosixPath", "PurePosixPath", "WindowsPath", "PureWindowsPath")
    },
}
"""By the name of what is called to make an instance."""
