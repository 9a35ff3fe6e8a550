"""Whether a value can be changed in place."""

from __future__ import annotations

import enum
from typing import Any

__all__ = ["is_immutable"]

# By exact type, because a subclass may have its own attributes. By name, so that no module is imported for this.
_ATOMS = frozenset(
    {
        *(
            f"builtins.{name}"
            for name in "NoneType bool int float complex str bytes range ellipsis type function".split()
        ),
        *(f"datetime.{name}" for name in "date datetime time timedelta timezone".split()),
        "builtins.builtin_function_or_method",
        "decimal.Decimal",
        "fractions.Fraction",
        "uuid.UUID",
    }
)


def is_immutable(value: Any) -> bool:
    """Whether the object cannot be changed in place, including the elements of tuples and frozensets."""
    kind = type(value)
    if kind is tuple or kind is frozenset:
        return all(is_immutable(element) for element in value)
    return f"{kind.__module__}.{kind.__qualname__}" in _ATOMS or isinstance(value, enum.Enum)
