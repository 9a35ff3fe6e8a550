"""A scheduler for ``celery beat``: several may run, and one of them sends the tasks."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, ClassVar, Final

from celery import beat
from celery.utils.log import get_logger
from kombu.utils.url import maybe_sanitize_url

from coshelf.contrib.parts import Part
from coshelf.coordination.turn import Turn
from coshelf.errors import OutcomeUnknown, TransactionInProgress, TurnLost, TurnNotHeld, Unavailable
from coshelf.mapping.transaction import Transaction

__all__ = ["Scheduler"]

Run = tuple[datetime, int]
"""When an entry was sent last, in UTC, and how often it was sent."""

_RUNS: Final = "runs"
_LEADER: Final = "leader"
_CLOCK: Final = "clock"
_LONGEST_WAIT: Final = 60.0  # seconds; a beat that waits for the lead still answers `celery inspect ping` in time
_TRY_AGAIN: Final = 5.0  # seconds
_logger = get_logger("celery.beat")


class Scheduler(beat.Scheduler):
    """The schedule of beat in a shelf: ``celery beat -S coshelf -s /var/lib/app/beat.shelf``.

    The shelf keeps when each entry of ``beat_schedule`` was sent last, and how often. Each time is stored in a commit
    of its own before the task is sent. Any number of beats may share a shelf: the one that has a lock of the shelf
    sends tasks. When it ends, however it ends, the next one goes on where it was.

    ``-s`` (or ``beat_schedule_filename``) is a path or a URL of a shelf. A subclass may set ``part``, the part of the
    shelf that is used, where several applications share one, and ``options``, further arguments of
    :func:`coshelf.open`.
    """

    part: ClassVar[str] = "celery/beat"
    options: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, app: Any, schedule_filename: str | None = None, **arguments: Any) -> None:
        self._kept = Part(schedule_filename or app.conf.beat_schedule_filename, self.part, **self.options)
        self._turn: Turn | None = None
        self._is_waiting = False
        super().__init__(app, **arguments)

    # --- what Celery calls -------------------------------------------------------------------------------------------

    def setup_schedule(self) -> None:
        """Open the shelf, so that a wrong path is noticed at once. The times are read when this beat leads."""
        _ = self._kept.shelf
        self.merge_inplace(self.app.conf.beat_schedule)
        self.install_default_entries(self.schedule)

    def tick(self, *arguments: Any, **options: Any) -> float:
        """Send one task that is due, if this beat leads. Otherwise wait for the lead.

        Returns:
            After how many seconds to call it again.
        """
        try:
            if self._leads() or self._take_over():
                return float(super().tick(*arguments, **options))
        except TurnLost as lost:
            _logger.warning("beat: another beat sends the tasks now: %s", lost)
            self._give_back()
        except (Unavailable, OutcomeUnknown) as error:
            _logger.warning("beat: the shelf does not answer; trying again in %g s: %s", _TRY_AGAIN, error)
            self._give_back()
            return _TRY_AGAIN
        return 0.0

    def reserve(self, entry: Any) -> Any:
        """Note in the shelf that an entry is sent now, before it is sent.

        Raises:
            TurnLost: another beat has taken over.
        """
        following = next(entry)
        token = self._turn.token if self._turn is not None else 0

        def note(shelf: Transaction[Any, Any]) -> None:
            if shelf.get(_LEADER, 0) > token:
                raise TurnLost(f"a later beat has begun to send tasks; the last one of this beat was {entry.name!r}")
            shelf[_RUNS, entry.name] = _run_of(following)

        self._kept.shelf.transact(note)
        self.schedule[entry.name] = following
        return following

    def close(self) -> None:
        """Give the lead to another beat, and close the shelf. Closing twice is fine."""
        super().close()
        # A signal handler calls this inside any other call. Beat calls it again when that call has ended.
        with suppress(TransactionInProgress):
            self._give_back()
            self._kept.close()

    @property
    def info(self) -> str:
        """A line for the banner of beat."""
        return f"    . shelf -> {maybe_sanitize_url(str(self._kept.target))}, {self._kept.name}"

    # --- leading -----------------------------------------------------------------------------------------------------

    def _leads(self) -> bool:
        if self._turn is not None and not self._turn.held:
            _logger.warning("beat: this beat has lost its turn at sending tasks.")
            self._give_back()
        return self._turn is not None

    def _take_over(self) -> bool:
        """Wait for the lead. Return whether this beat has it."""
        lock = self._kept.shelf.lock(_LEADER)
        turn = lock.acquire(timeout=0)
        if not turn:
            if not self._is_waiting:
                self._is_waiting = True
                _logger.info("beat: Another beat sends the tasks. This one waits.")
            turn = lock.acquire(timeout=min(self.max_interval, _LONGEST_WAIT))
        if not turn:
            return False
        self._turn, self._is_waiting = turn, False
        self._begin(turn.token)
        return True

    def _give_back(self) -> None:
        turn, self._turn = self._turn, None
        if turn is not None:
            with suppress(TurnLost, TurnNotHeld, Unavailable):  # it is over, or ends with its lease
                turn.release()

    def _begin(self, token: int) -> None:
        """Take the times from the shelf, and make them those of the schedule as it is now."""
        clock = (str(self.app.conf.timezone), bool(self.app.conf.enable_utc))

        def take(shelf: Transaction[Any, Any]) -> dict[str, Run]:
            if shelf.get(_LEADER, 0) > token:
                raise TurnLost("a later beat has begun to send tasks")
            kept: dict[str, Run] = {key[1]: run for key, run in shelf.items(prefix=(_RUNS,))}
            if shelf.get(_CLOCK, clock) != clock:
                _logger.warning("beat: The time zone is another one, so the times of the last runs are forgotten.")
                kept.clear()
            runs = {name: kept.get(name) or _run_of(entry) for name, entry in self.schedule.items()}
            for key in list(shelf.keys(prefix=(_RUNS,))):
                if key[1] not in runs:
                    del shelf[key]
            shelf.update({_LEADER: token, _CLOCK: clock, **{(_RUNS, name): run for name, run in runs.items()}})
            return runs

        for name, (sent_at, count) in self._kept.shelf.transact(take).items():
            entry = self.schedule[name]
            entry.last_run_at = sent_at.astimezone(entry.default_now().tzinfo)
            entry.total_run_count = count
        self._heap = None  # it is made anew, of these times


def _run_of(entry: Any) -> Run:
    return entry.last_run_at.astimezone(UTC), entry.total_run_count
