"""How shelves, snapshots, transactions, views and cursors show themselves in shells, logs and notebooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from coshelf.mapping.glance import Excerpt, Glance

__all__ = ["Shown", "ShownCursor", "ShownView"]

_MEMBERS = 5  # of a view, in its repr
_MEMBER = 40  # characters


class Shown:
    """A shelf, a snapshot or a transaction."""

    def _glance(self) -> Glance:
        raise NotImplementedError

    def __repr__(self) -> str:
        glance = self._glance()
        if glance.end:
            return f"<{_title(glance)}>"
        count = glance.count()
        known = () if count is None else (count.of("key", "keys"),)
        return f"<{_title(glance)}: {', '.join((*known, glance.engine, *glance.details))}>"

    def _repr_html_(self) -> str:
        from coshelf.inspection.notebook import mapping_as_html

        glance = self._glance()
        return mapping_as_html(_title(glance), glance)


class ShownView(Shown):
    """A view of the keys, values or items. It shows the first of them, as the views of a dict show all."""

    _shows_keys = True
    _shows_values = True

    def __repr__(self) -> str:
        glance = self._glance()
        if glance.end or not glance.answers_at_once:
            return f"<{_title(glance)}>"
        first = glance.excerpts(_MEMBERS)
        members = [self._member(each) for each in first.found]
        is_all = first.count is not None and first.count.is_exact and first.count.number == len(members)
        more = [] if is_all else [f"({first.problem})" if first.problem else "..."]
        return f"<{_title(glance)}: [{', '.join((*members, *more))}]>"

    def _member(self, each: Excerpt) -> str:
        value = each.text if len(each.text) <= _MEMBER else f"{each.text[: _MEMBER - 3]}..."
        parts = [each.key] if self._shows_keys else []
        return ": ".join([*parts, value] if self._shows_values else parts)


class ShownCursor(Shown):
    """A cursor. It shows its position, and the entry that is there."""

    def __repr__(self) -> str:
        return f"<{_title(self._glance())}>"

    def _repr_html_(self) -> str:
        from coshelf.inspection.notebook import mapping_as_html

        glance = self._glance()
        return mapping_as_html(_title(glance), glance, is_counted=False)


def _title(glance: Glance) -> str:
    """Class, place and conditions: ``ShelfKeys of '/srv/recipes.shelf' under 'soups/', reverse=True``."""
    end = f"{glance.end} " if glance.end else ""
    return f"{end}{glance.kind} {glance.place()}"
