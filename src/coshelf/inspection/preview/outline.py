"""An outline of what a pickle would make. It follows the instructions with descriptions in the place of objects."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from coshelf.inspection.preview.instructions import Instruction
from coshelf.inspection.preview.recognition import is_table, tell, tell_unfinished
from coshelf.inspection.preview.thing import Attribute, Thing
from coshelf.trust.gate.data_types import current_name

__all__ = ["Outline", "follow"]

_OF_TABLE = 5_000  # instructions that are followed at least, if they make a table
_NAME = 60  # characters of a called object that is not a name


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
        for each in found:
            machine.step(each)
            done += 1
            if done >= steps and not (done < _OF_TABLE and is_table(machine.names)):
                break
        if not machine.is_done:
            problem = f"more than {done:,} instructions"
            tell_unfinished(machine.bottom(), machine.loose())
    except (ValueError, IndexError, KeyError) as error:
        reason = str(error) if isinstance(error, ValueError) else "its instructions do not fit together"
        problem = f"not a whole pickle: {reason}"
    return Outline(machine.bottom().told(), machine.names, problem)


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

    def loose(self) -> list[Thing]:
        """What is on the stack, from its bottom on."""
        return [thing for stack in (*self._below, self._stack) for thing in stack]

    # --- containers --------------------------------------------------------------------------------------------------

    def _make(self, kind: str, take: int) -> None:
        """Push a container: empty (0), of the last things (1 to 3), or of those after the mark (-1)."""
        parts = self._marked() if take < 0 else self._taken(take)
        self._stack.append(_container(kind, _paired(parts) if kind == "dict" else parts))

    def _fill(self, take: int, in_pairs: bool) -> None:
        parts = self._marked() if take < 0 else self._taken(take)
        filled = self._stack[-1].same or self._stack[-1]
        if filled.called:
            if filled.content is None:
                filled.content = _container("dict" if in_pairs else "list", ())
                filled.add([filled.content])
            filled = filled.content
        filled.add(_paired(parts) if in_pairs else parts)

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
        self._stack.append(known if not known.brackets[1] else Thing(known.type, known.text, same=known))

    def _do_extension(self, argument: Any) -> None:
        self._name(f"extension {argument} of copyreg")

    def _do_persistent(self, argument: Any) -> None:
        self._stack.append(Thing("?", f"<persistent {argument}>"))

    def _do_binpersid(self, argument: Any) -> None:
        self._stack.append(Thing("?", f"<persistent {self._taken(1)[0].written(_NAME)}>"))

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
        arguments = arguments.same or arguments
        self._stack.append(_instance(called, arguments.parts, arguments.count))

    def _do_newobj_ex(self, argument: Any) -> None:
        made, arguments, named = self._taken(3)
        self._stack.append(_instance(made, [*arguments.parts, *named.parts], arguments.count + named.count))

    def _do_build(self, argument: Any) -> None:
        state = self._taken(1)[0]
        thing = self._stack[-1].same or self._stack[-1]
        thing.state = state
        if thing.brackets[1] and state.text != "None":
            thing.add(_attributes(state))


def _scalar(kind: str, each: Instruction) -> Thing:
    argument = each.argument
    if kind == "int" and isinstance(argument, bool):
        return Thing("bool", repr(argument))
    if isinstance(argument, str) and kind in ("int", "float"):
        return Thing(kind, f"<{argument}>")
    text = repr(argument)
    if each.is_cut:
        text = f"{text[:-1]}...{text[-1]}"
    return Thing(
        kind, f"bytearray({text})" if kind == "bytearray" else text, count=each.size, value=each.beginning or argument
    )


def _attributes(state: Thing) -> list[Any]:
    """The parts that an instance gets by its state: a dict, a pair of dicts (with slots), or anything else."""
    pair = [part for part in state.parts if isinstance(part, Thing)]
    dicts = pair if state.type == "tuple" and state.count == len(pair) == 2 else [state]
    if not all(each.type == "dict" or each.text == "None" for each in dicts):
        return [state]
    found: list[Any] = []
    for each in dicts:
        for part in each.parts:
            name = part[0].value if isinstance(part, tuple) else None
            found.append(Attribute(name, part[1]) if isinstance(name, str) and name.isidentifier() else part)
    return found


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
    name = made.text if made.type == "name" else made.written(_NAME)
    function = name.rsplit(".", 1)[-1]
    given = [part for part in parts if isinstance(part, Thing)]
    if function in ("_reconstruct", "_reconstructor") and given:
        name, parts, count = given[0].text, [], 0
    elif function == "__newobj__" and given:
        name, parts, count = given[0].text, parts[1:], None
    elif name == "getattr" and len(given) == 2:
        return Thing("name", f"{given[0].text}.{_unquoted(given[1].text)}")
    elif name == "_codecs.encode" and len(given) == 2 and given[0].text[-1:] in "'\"":
        return _latin(given[0])
    # The type is known only if a name was called.
    thing = Thing(name if made.type == "name" else "?", brackets=(f"{name}(", ")"), called=name, tell=tell)
    thing.add(parts)
    thing.count = len(parts) if count is None else count
    thing.arguments = [part for part in parts if isinstance(part, Thing)]
    return thing


def _latin(text: Thing) -> Thing:
    """The bytes that protocols before 3 write as a str."""
    value = text.value
    is_latin = isinstance(value, str) and max(map(ord, value), default=0) < 256
    return Thing("bytes", f"b{text.text}", count=text.count, value=value.encode("latin1") if is_latin else None)


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
