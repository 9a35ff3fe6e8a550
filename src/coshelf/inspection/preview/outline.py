"""An outline of what a pickle would make. It follows the instructions with descriptions in the place of objects."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from coshelf.inspection.preview.instructions import Instruction
from coshelf.trust.gate.data_types import current_name

__all__ = ["Outline", "Thing", "follow"]

_KEPT = 12  # parts of a container that are kept
_DEEPEST = 6
_NAME = 60  # characters of a called object that is not a name


@dataclass(slots=True, eq=False)
class Thing:
    """The description of an object.

    Attributes:
        type: the name of its class, with the module unless that is builtins.
        text: how it is written if it has no parts; it may be cut.
        brackets: the text before and after its parts.
        parts: the first parts; in a mapping these are pairs.
        count: how many parts there are.
    """

    type: str
    text: str = ""
    brackets: tuple[str, str] = ("", "")
    parts: list[Any] = field(default_factory=list)
    count: int = 0

    def add(self, parts: Iterable[Any]) -> None:
        """Add parts."""
        for part in parts:
            self.count += 1
            if len(self.parts) < _KEPT:
                self.parts.append(part)

    def written(self, room: int, depth: int = 0) -> str:
        """The object as Python would write it, in about this many characters."""
        if not self.brackets[1]:
            return self.text if len(self.text) <= room else f"{self.text[: max(room - 3, 1)]}..."
        words: list[str] = []
        left = room - len(self.brackets[0]) - 1
        for part in self.parts if depth < _DEEPEST else ():
            if left <= 3:
                break
            word = _written(part, left, depth + 1)
            words.append(word)
            left -= len(word) + 2
        if len(words) < self.count:
            words.append("...")
        only = "," if self.brackets == ("(", ")") and self.type == "tuple" and self.count == 1 else ""
        return f"{self.brackets[0]}{', '.join(words)}{only}{self.brackets[1]}"


def _written(part: Any, room: int, depth: int) -> str:
    if isinstance(part, tuple):
        return f"{part[0].written(room, depth)}: {part[1].written(room, depth)}"
    written: str = part.written(room, depth)
    return written


@dataclass(slots=True)
class Outline:
    """The description of a pickle.

    Attributes:
        thing: the object that it makes.
        names: the classes and functions that it asks for.
        problem: why the description is not complete; None if it is.
    """

    thing: Thing
    names: list[str]
    problem: str | None = None


def follow(found: Iterable[Instruction], steps: int) -> Outline:
    """Follow at most ``steps`` instructions."""
    machine = _Machine()
    problem = None
    try:
        done = 0
        for each in islice(found, steps):
            done += 1
            machine.step(each)
        if done == steps and not machine.is_done:
            problem = f"more than {steps:,} instructions"
    except (ValueError, IndexError, KeyError) as error:
        reason = str(error) if isinstance(error, ValueError) else "its instructions do not fit together"
        problem = f"not a whole pickle: {reason}"
    return Outline(machine.bottom(), machine.names, problem)


_UNKNOWN: Final = Thing("?", "?")
_BRACKETS = {
    "list": ("[", "]"),
    "tuple": ("(", ")"),
    "dict": ("{", "}"),
    "set": ("{", "}"),
    "frozenset": ("frozenset({", "})"),
}


class _Machine:
    """The stack of an unpickler, with descriptions on it."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.is_done = False
        self._stack: list[Thing] = []
        self._below: list[list[Thing]] = []
        self._memo: dict[int, Thing] = {}

    def step(self, each: Instruction) -> None:
        """Follow one instruction. Raises IndexError or KeyError if it does not fit."""
        name, argument = each.name, each.argument
        if name in _CONSTANTS:
            self._stack.append(Thing(*_CONSTANTS[name]))
        elif name in _SCALARS:
            self._stack.append(_scalar(_SCALARS[name], each))
        elif name in _MADE:
            self._make(*_MADE[name])
        elif name in _FILLED:
            self._fill(*_FILLED[name])
        else:
            getattr(self, f"_do_{_MEANING.get(name, name)}".lower())(argument)

    def bottom(self) -> Thing:
        """The lowest object on the stack, which all the others become part of."""
        stack = self._below[0] if self._below else self._stack
        return stack[0] if stack else _UNKNOWN

    # --- containers --------------------------------------------------------------------------------------------------

    def _make(self, kind: str, take: int) -> None:
        """Push a container: empty (0), of the last things (1 to 3), or of those after the mark (-1)."""
        parts = self._marked() if take < 0 else self._taken(take)
        self._stack.append(_container(kind, _paired(parts) if kind == "dict" else parts))

    def _fill(self, take: int, in_pairs: bool) -> None:
        parts = self._marked() if take < 0 else self._taken(take)
        self._stack[-1].add(_paired(parts) if in_pairs else parts)

    def _taken(self, count: int) -> list[Thing]:
        if not count:
            return []
        taken = self._stack[-count:]
        if len(taken) < count:
            raise IndexError
        del self._stack[-count:]
        return taken

    def _marked(self) -> list[Thing]:
        marked, self._stack = self._stack, self._below.pop()
        return marked

    # --- the stack and the memo --------------------------------------------------------------------------------------

    def _do_ignored(self, argument: Any) -> None:
        """Nothing to do for PROTO, FRAME and READONLY_BUFFER."""

    def _do_stop(self, argument: Any) -> None:
        if self._below or len(self._stack) != 1:
            raise IndexError
        self.is_done = True

    def _do_mark(self, argument: Any) -> None:
        self._below.append(self._stack)
        self._stack = []

    def _do_pop(self, argument: Any) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self._marked()

    def _do_pop_mark(self, argument: Any) -> None:
        self._marked()

    def _do_dup(self, argument: Any) -> None:
        self._stack.append(self._stack[-1])

    def _do_put(self, argument: Any) -> None:
        self._memo[argument] = self._stack[-1]

    def _do_memoize(self, argument: Any) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    def _do_get(self, argument: Any) -> None:
        known = self._memo[argument]
        # A container may hold itself. Writing it in full would never end.
        self._stack.append(known if not known.brackets[1] else Thing(known.type, f"<{known.type} as before>"))

    def _do_extension(self, argument: Any) -> None:
        self._name(f"extension {argument} of copyreg")

    def _do_persistent(self, argument: Any) -> None:
        self._stack.append(Thing("?", f"<persistent {argument}>"))

    def _do_binpersid(self, argument: Any) -> None:
        self._stack.append(Thing("?", f"<persistent {self._taken(1)[0].text}>"))

    def _do_next_buffer(self, argument: Any) -> None:
        self._stack.append(Thing("buffer", "<buffer>"))

    # --- classes and instances ---------------------------------------------------------------------------------------

    def _name(self, name: str) -> None:
        if name not in self.names:
            self.names.append(name)
        self._stack.append(Thing("name", name.removeprefix("builtins.")))

    def _do_global(self, argument: str) -> None:
        module, _, name = argument.partition(" ")
        self._name(".".join(current_name(module, name)))

    def _do_stack_global(self, argument: Any) -> None:
        module, name = self._taken(2)
        self._name(f"{_unquoted(module.text)}.{_unquoted(name.text)}")

    def _do_inst(self, argument: str) -> None:
        parts = self._marked()
        self._do_global(argument)
        self._stack.append(_instance(self._stack.pop(), parts))

    def _do_obj(self, argument: Any) -> None:
        made, *parts = self._marked()
        self._stack.append(_instance(made, parts))

    def _do_reduce(self, argument: Any) -> None:
        called, arguments = self._taken(2)
        self._stack.append(_instance(called, arguments.parts, arguments.count))

    def _do_newobj_ex(self, argument: Any) -> None:
        made, arguments, named = self._taken(3)
        self._stack.append(_instance(made, [*arguments.parts, *named.parts], arguments.count + named.count))

    def _do_build(self, argument: Any) -> None:
        state = self._taken(1)[0]
        thing = self._stack[-1]
        if thing.type == "numpy.ndarray":
            _tell_array(thing, state.parts[1:3])
        elif thing.brackets[1] and thing.type != "numpy.dtype" and state.text != "None":
            thing.add(state.parts if state.type == "dict" else [state])


def _scalar(kind: str, each: Instruction) -> Thing:
    argument = each.argument
    if kind == "int" and isinstance(argument, bool):
        return Thing("bool", repr(argument))
    if isinstance(argument, str) and kind in ("int", "float"):
        return Thing(kind, f"<{argument}>")
    text = repr(argument)
    if each.is_cut:
        text = f"{text[:-1]}...{text[-1]}"
    return Thing(kind, f"bytearray({text})" if kind == "bytearray" else text, count=each.size)


def _container(kind: str, parts: Iterable[Any]) -> Thing:
    thing = Thing(kind, brackets=_BRACKETS.get(kind, (f"{kind}(", ")")))
    thing.add(parts)
    return thing


def _paired(parts: list[Thing]) -> list[tuple[Thing, Thing]]:
    if len(parts) % 2:
        raise IndexError
    return list(zip(parts[::2], parts[1::2], strict=True))


def _instance(made: Thing, parts: list[Any], count: int | None = None) -> Thing:
    """The result of a call. For functions of the standard library that only make instances, it is the instance."""
    name = made.text or made.written(_NAME)
    function = name.rsplit(".", 1)[-1]
    if function in ("_reconstruct", "_reconstructor") and parts:
        name, parts, count = parts[0].text, [], 0
    elif function == "__newobj__" and parts:
        name, parts, count = parts[0].text, parts[1:], None
    elif name == "getattr" and len(parts) == 2:
        return Thing("name", f"{parts[0].text}.{_unquoted(parts[1].text)}")
    elif name == "_codecs.encode" and len(parts) == 2 and parts[0].text[-1:] in "'\"":
        return Thing("bytes", f"b{parts[0].text}", count=parts[0].count)
    elif name.startswith("numpy.") and function == "_frombuffer" and len(parts) > 2:
        thing = Thing("numpy.ndarray")
        _tell_array(thing, [parts[2], parts[1]])
        return thing
    # The type is known only if a name was called.
    thing = Thing(name if made.type == "name" else "?", brackets=(f"{name}(", ")"))
    thing.add(parts)
    thing.count = len(parts) if count is None else count
    return thing


def _tell_array(thing: Thing, parts: list[Any]) -> None:
    """Describe an array by its shape and type, as numpy pickles them."""
    told = [part.written(40) for part in parts if isinstance(part, Thing)]
    thing.brackets, thing.parts, thing.count = ("", ""), [], 0
    thing.text = f"<numpy.ndarray {' '.join(told)}>".replace("numpy.dtype", "dtype")


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text


_CONSTANTS: dict[str, tuple[str, str]] = {
    "NONE": ("NoneType", "None"),
    "NEWTRUE": ("bool", "True"),
    "NEWFALSE": ("bool", "False"),
}
_SCALARS = {
    **dict.fromkeys(["INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4"], "int"),
    **dict.fromkeys(["FLOAT", "BINFLOAT"], "float"),
    **dict.fromkeys(["STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE"], "str"),
    **dict.fromkeys(["SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"], "str"),
    **dict.fromkeys(["SHORT_BINBYTES", "BINBYTES", "BINBYTES8"], "bytes"),
    "BYTEARRAY8": "bytearray",
}
_MADE = {
    "EMPTY_LIST": ("list", 0),
    "LIST": ("list", -1),
    "EMPTY_TUPLE": ("tuple", 0),
    "TUPLE1": ("tuple", 1),
    "TUPLE2": ("tuple", 2),
    "TUPLE3": ("tuple", 3),
    "TUPLE": ("tuple", -1),
    "EMPTY_DICT": ("dict", 0),
    "DICT": ("dict", -1),
    "EMPTY_SET": ("set", 0),
    "FROZENSET": ("frozenset", -1),
}
_FILLED = {
    "APPEND": (1, False),
    "APPENDS": (-1, False),
    "SETITEM": (2, True),
    "SETITEMS": (-1, True),
    "ADDITEMS": (-1, False),
}
_MEANING = {
    **dict.fromkeys(["PROTO", "FRAME", "READONLY_BUFFER"], "ignored"),
    **dict.fromkeys(["PUT", "BINPUT", "LONG_BINPUT"], "put"),
    **dict.fromkeys(["GET", "BINGET", "LONG_BINGET"], "get"),
    **dict.fromkeys(["EXT1", "EXT2", "EXT4"], "extension"),
    "NEWOBJ": "reduce",
    "PERSID": "persistent",
}
