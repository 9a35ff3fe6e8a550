"""A quick way of ``modify``, for values of plain data: lock, value and commit take one call of C each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from coshelf.mapping.handle import Handle, Participant
from coshelf.mapping.namespace import Namespace
from coshelf.mapping.transaction import MISSING, LateState, refuse_none
from coshelf.system.threads.participants import Party, current_party
from coshelf.values.codec import Codec

__all__ = ["modify_quickly"]


def modify_quickly(
    handle: Handle, namespace: Namespace, codec: Codec, key: Any, function: Callable[[Any], Any], *, allow_none: bool
) -> Any:
    """As :meth:`coshelf.Shelf.modify`, for a thread that is in no transaction of the handle.

    Returns :data:`MISSING` if it has done nothing, and not called the function. The general way has to do it then.
    """
    party = current_party()
    try:
        return _modified(handle, namespace, codec, party, key, function, allow_none)
    finally:  # an interrupt may come just before the same step in there
        handle.leave(party)


def _modified(
    handle: Handle,
    namespace: Namespace,
    codec: Codec,
    party: Party,
    key: Any,
    function: Callable[[Any], Any],
    allow_none: bool,
) -> Any:
    engine = handle.engine
    start = namespace.start
    is_left: bool | None = None
    try:
        participant = handle.inside[party] = Participant()
        with engine.quick_hold(party) as is_held:
            old = engine.quick(key, start) if is_held else NotImplemented
            if old is NotImplemented:
                return MISSING
            store = engine.quick_store  # of the files that are locked: a forked child may open others meanwhile
            state = LateState(engine, namespace, key)
            try:
                participant.state = state
                try:
                    new = function(old)
                    if new is None and not allow_none:
                        refuse_none(old, key)
                    is_left = False if state.is_touched else store(key, new, start, True)
                    if is_left is False:
                        state.put(codec, new)
                finally:
                    participant.state = None
                if state.is_touched:
                    batch = state.batch()
                    if batch is not None:
                        engine.refuse_wide(batch, whole=True)
                        engine.commit_held(batch)
            finally:
                state.end()
    finally:
        handle.leave(party)
    if is_left:
        engine.stored()
    return new
