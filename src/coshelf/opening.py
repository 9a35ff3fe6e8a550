"""``coshelf.open``: from a path, URL or mapping to a shelf."""

from __future__ import annotations

import dataclasses
import functools
import os
import warnings
from collections.abc import Callable, Iterable, MutableMapping
from typing import TYPE_CHECKING, Any, Literal

from coshelf.contract import Durability, Engine, Flag, Guarding, OpenOptions, distrust
from coshelf.engines import holds_bare_pickles, open_engine
from coshelf.errors import CodecMismatch, Unsupported
from coshelf.mapping.handle import Handle
from coshelf.mapping.namespace import Namespace
from coshelf.mapping.shelf import Shelf
from coshelf.system.timeouts import usable_timeout
from coshelf.values.choosing import chosen, start_afresh
from coshelf.values.compression import Zstd
from coshelf.values.pickled import PROTOCOL, PickleCodec
from coshelf.values.rows import SETTINGS_ROW

if TYPE_CHECKING:
    from coshelf.values.settings import Asked

__all__ = ["Codec", "open", "open_with_codec", "reopen"]

Codec = Literal["pickle", "msgspec", "json", "bytes", "str"]


def open(
    target: str | bytes | os.PathLike[str] | os.PathLike[bytes] | MutableMapping[Any, bytes],
    flag: Flag = "c",
    *,
    mode: int = 0o600,
    durability: Durability = "interval",
    flush_interval: float = 1.0,
    timeout: float = 60.0,
    protocol: int | None = None,
    writeback: bool = False,
    require: Iterable[str] = (),
    trust: bool | None = None,
    allow: Iterable[Callable[..., Any]] = (),
    sign: bytes | Iterable[bytes] = (),
    codec: Codec | None = None,
    type: Any = None,
    compress: Literal["zstd", False] | Zstd | None = None,
    encrypt: bytes | Iterable[bytes] = (),
    recode: bool = False,
) -> Shelf[Any, Any]:
    """Open a shelf, a dict on disk that every process shares.

    Args:
        target: a path, a URL (``memory:``, ``lmdb:PATH``), or a mutable mapping of bytes (a dict, a dbm object).
        flag: as in ``dbm.open``: "r" existing, never written; "w" existing; "c" made if missing; "n" made, or emptied.
        mode: permission bits of a new file, whatever the umask.
        durability: "interval": a commit is safe from the death of any process when it returns, and from power loss
            within ``flush_interval``; ``sync()`` and ``close()`` wait for that. "commit": each commit waits for it.
        flush_interval: seconds between two flushes while entries are written, 0 or more.
        timeout: seconds that bound every wait for a lock, 0 or more.
        protocol: pickle protocol for writing, 5 by default; every protocol is read.
        writeback: keep the values that were handed out, and write back at ``sync()`` and ``close()`` those that were
            changed in place. As in ``shelve``, but only changes are written, and never over somebody else's.
        require: capabilities without which opening is refused: ``"snapshots"``, ``"exclusive=processes"``, ...
        trust: whether values may be any objects, so that loading one may run code. None: if this user made the shelf on
            this machine, and nobody else can write it. Otherwise values are plain data, and what is more than that is
            :class:`~coshelf.errors.UntrustedValue` when it is read, and
            :class:`~coshelf.errors.UnwritableValue` when it is stored. With False, storing is free.
        allow: classes and functions that are loaded beside plain data where the shelf is not trusted.
        sign: a secret of 16 bytes or more. Each value that is stored is signed with it; what is not, or was changed or
            moved since, is :class:`~coshelf.errors.UntrustedValue` before anything is unpickled, and what is may be any
            object. Of several secrets, the first signs, and each is good for reading.
        codec: how values become bytes: "pickle" (any object), "msgspec" (msgpack), "json", "bytes" or "str". What would
            not come back equal is refused. None: what the shelf remembers, and "pickle" for a new one.
        type: what all values are, in annotations that msgspec knows (a Struct, a dataclass, a TypedDict,
            ``dict[str, int]``): with codec "msgspec" and "json" values are validated when they are written and read,
            and one that does not fit is :class:`~coshelf.errors.TypeMismatch`. On its own it asks for "msgspec".
        compress: "zstd", or :class:`coshelf.Zstd` to say at which level; a value is stored compressed if that makes it
            smaller. False: no longer. None: what the shelf remembers.
        encrypt: a secret of 16 bytes or more, with which values are encrypted; not keys. Of several secrets, the first
            encrypts, and each is good for reading. A shelf that is encrypted does not open without.
        recode: write as the options say from now on, though the shelf remembers something else. What is there stays
            readable.

    Raises:
        ShelfNotFound, NotAShelf, FormatTooNew, DamagedShelf, ShelfPermissionError, UnsafeFilesystem,
        OpenUnderAnotherName, ShelfLocked, UnknownEngine, Unsupported, MissingExtra, CodecMismatch, WrongKey: see
        :mod:`coshelf.errors`. What is not a shelf is never changed.

    >>> import coshelf, tempfile, os
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     with coshelf.open(os.path.join(directory, "recipes.shelf")) as shelf:
    ...         shelf["hello"] = 15
    ...         shelf["hello"]
    15
    """
    trusting = _trusting(protocol, trust, allow, sign)
    if codec is not None or type is not None or compress is not None or encrypt or recode:
        from coshelf.values import settings

        trusting = dataclasses.replace(trusting, asked=settings.asked(codec, type, compress, encrypt, recode=recode))
    return open_with_codec(
        target, flag, trusting,
        mode=mode, durability=durability, flush_interval=flush_interval, timeout=timeout, writeback=writeback,
        require=require,
    )  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Trusting:
    """How to make the codec once it is known what is opened."""

    protocol: int
    trust: bool | None
    allow: tuple[Callable[..., Any], ...]
    sign: tuple[bytes, ...] = dataclasses.field(default=(), repr=False)
    asked: Asked | None = None

    def __reduce__(self) -> Any:
        if self.sign:
            raise TypeError("a shelf with sign= is not pickled: its secret would be in it. Open it where it is used")
        if self.asked is not None and self.asked.secrets:
            raise TypeError("a shelf with encrypt= is not pickled: its secret would be in it. Open it where it is used")
        # Recoding was for once: somebody may have recoded it since.
        asked = None if self.asked is None else dataclasses.replace(self.asked, recode=False)
        return Trusting, (self.protocol, self.trust, self.allow, (), asked)

    def codec(self, engine: Engine, flag: Flag) -> PickleCodec:
        """The codec for an engine: with a gate, if what it holds could be somebody else's."""
        if self.sign:
            if not engine.store_id:
                raise Unsupported(f"the {engine.name} engine has no id of its own that a signature could be bound to")
            return chosen(engine, flag, self.asked, self.protocol, sign=self.sign)
        reason = None if self.trust else distrust(engine) if self.trust is None else "trust=False was given"
        if reason is None:
            if self.trust is None and isinstance(engine, Guarding):
                engine.guard()
            return chosen(engine, flag, self.asked, self.protocol)
        from coshelf.trust.provenance import can_be_trusted, has_no_place_for_mark

        if self.trust is None and flag != "r" and has_no_place_for_mark(engine):
            warnings.warn(
                f"{engine.where} is not known as this user's own: there is no directory for the mark that says so, "
                "since this user has no home directory. Values are plain data, and other objects are refused\n"
                "  hint: let COSHELF_SECRET_FILE name a file of 16 or more random bytes, or give trust=True",
                stacklevel=5,
            )
        hint = "if you trust whoever writes it, open it with"
        if self.trust is None and can_be_trusted(engine):
            hint = f"if you trust whoever writes it: python -m coshelf trust {engine.where}\n  or open it with"
        ways_on = f"; {reason}\n  hint: {hint} trust=True, or with allow=[...] for the classes that you expect"
        from coshelf.trust.gate import Gate

        codec = chosen(engine, flag, self.asked, self.protocol, ways_on)
        codec.loads = Gate(self.allow).loads
        codec.refuses_objects = self.trust is None
        return codec


def _trusting(
    protocol: int | None, trust: bool | None, allow: Iterable[Callable[..., Any]], sign: bytes | Iterable[bytes]
) -> Trusting:
    """Raises TypeError and ValueError for what is none of these, before anything is made."""
    if trust not in (None, True, False):
        raise TypeError(f"trust must be True, False or None, not {trust!r}")
    classes = tuple(allow)
    if classes:
        from coshelf.trust.gate import Gate

        Gate(classes)
    keys: tuple[bytes, ...] = ()
    if sign:
        from coshelf.values.secret_keys import usable

        keys = usable(sign, "sign=")
    return Trusting(PickleCodec(PROTOCOL if protocol is None else protocol).protocol, trust, classes, keys)


def open_with_codec(
    target: str | bytes | os.PathLike[str] | os.PathLike[bytes] | MutableMapping[Any, bytes],
    flag: Flag,
    codec: PickleCodec | Trusting,
    *,
    mode: int = 0o600,
    durability: Durability = "interval",
    flush_interval: float = 1.0,
    timeout: float = 60.0,
    writeback: bool = False,
    require: Iterable[str] = (),
) -> Shelf[Any, Any]:
    """As :func:`open`, for front doors whose values are encoded in a way of their own."""
    if flag not in ("r", "w", "c", "n"):
        raise ValueError(f"unknown flag {flag!r}: it must be 'r', 'w', 'c' or 'n'")
    if durability not in ("interval", "commit"):
        raise ValueError(f"durability must be 'interval' or 'commit', not {durability!r}")
    options = OpenOptions(
        flag=flag,
        mode=mode,
        timeout=usable_timeout(timeout),
        durability=durability,
        flush_interval=usable_timeout(flush_interval),
        trusted=codec.trust is True if isinstance(codec, Trusting) else codec.trusts,
    )
    if isinstance(codec, Trusting) and codec.asked is not None and holds_bare_pickles(target):
        codec.asked.refuse_bare_pickles("files")
    engine = open_engine(target, options)
    try:
        _require(engine, require)
        if flag == "n":
            start_afresh(engine)
        elif flag != "r" and not isinstance(codec, Trusting) and codec.writes:
            _refuse_layers(engine)
        return _shelf(engine, codec, flag, Namespace(), writeback=writeback)
    except BaseException:
        engine.close()
        raise


def reopen(
    how: Trusting | Callable[[], PickleCodec], target: str, options: OpenOptions, writeback: bool, prefix: str
) -> Shelf[Any, Any]:
    """Open a shelf, or a namespace in it, that was pickled in another process."""
    codec = how if isinstance(how, Trusting) else how()
    return _shelf(open_engine(target, options), codec, options.flag, Namespace(prefix), writeback=writeback)


def _shelf(
    engine: Engine, codec: PickleCodec | Trusting, flag: Flag, namespace: Namespace, *, writeback: bool
) -> Shelf[Any, Any]:
    # What is pickled with a shelf is how its codec is made: a front door's own, or one that suits what is found.
    how = codec if isinstance(codec, Trusting) else functools.partial(codec.__class__, codec.protocol)
    codec = codec.codec(engine, flag) if isinstance(codec, Trusting) else codec
    if codec.takes_blobs:
        codec.blobs = engine.blobs
    again = functools.partial(reopen, how)
    if not writeback:
        return Shelf(Handle(engine, codec, flag, again), namespace)
    from coshelf.mapping.writeback import WritebackCache, WritebackShelf

    cache = WritebackCache(codec)
    handle = Handle(engine, codec, flag, again, before_close=None if flag == "r" else cache.write_back)
    return WritebackShelf(handle, namespace, cache)


def _refuse_layers(engine: Engine) -> None:
    """Refuse to write plain pickles where that is not how values are written: least of all where they are encrypted."""
    if not engine.keeps_settings or engine.get(SETTINGS_ROW) is None:
        return
    from coshelf.values.settings import remembered

    found = remembered(engine)
    if found is not None and not found.are_default:
        raise CodecMismatch(
            f"{engine.where} has {found}, and what opens it here writes plain pickles\n"
            "  hint: open it with coshelf.open, or to read alone"
        )


def _require(engine: Engine, wanted: Iterable[str]) -> None:
    if isinstance(wanted, str):
        wanted = (wanted,)
    names = {field.name for field in dataclasses.fields(engine.capabilities)}
    for requirement in wanted:
        name, given, value = requirement.partition("=")
        if name not in names:
            raise ValueError(f"there is no capability {name!r}; there are {', '.join(sorted(names))}")
        has = getattr(engine.capabilities, name)
        if (str(has) != value) if given else not has:
            raise Unsupported(
                f"{requirement} is required, but the {engine.name} engine has {name}={has} ({engine.where})"
            )
