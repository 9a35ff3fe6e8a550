"""Lines of turns: who has the turn, who is next, and what becomes of a place."""

from __future__ import annotations

import contextlib
import gc
import os
import threading
import time
from pathlib import Path

import pytest

from coshelf.contract import BARRIER, Engine, OpenOptions, Place
from coshelf.testing.contract.base import EngineTests
from coshelf.testing.contract.child import Child, Talk
from coshelf.testing.contract.requirements import needs
from coshelf.testing.contract.task import PATIENCE, Task

__all__ = ["TurnTests"]


def has_turn(place: Place) -> bool:
    """Whether a place has the turn now."""
    return place.wait(0)


def gets_turn(place: Place) -> bool:
    """Whether a place gets the turn, without anything more that the test would do."""
    return place.wait(PATIENCE)


class TurnTests(EngineTests):
    # --- a line ------------------------------------------------------------------------------------------------------

    @needs("turns")
    def test_first_in_a_line_has_the_turn_at_once(self, engine: Engine) -> None:
        place = engine.turns().join(b"door")
        assert has_turn(place)
        assert has_turn(place), "asking again changes nothing"
        assert isinstance(place.token, int)
        assert not place.is_lost

    @needs("turns")
    def test_turn_goes_round_in_order_of_arrival(self, engine: Engine) -> None:
        turns = engine.turns()
        places = [turns.join(b"door") for _ in range(self.some(6))]
        for place, following in zip(places, [*places[1:], None], strict=True):
            assert gets_turn(place)
            assert following is None or not has_turn(following)
            place.leave()
            assert not has_turn(place)

    @needs("turns")
    def test_waiting_place_has_no_token(self, engine: Engine) -> None:
        turns = engine.turns()
        holder, waiter = turns.join(b"door"), turns.join(b"door")
        assert waiter.token is None
        holder.leave()
        assert gets_turn(waiter)
        assert isinstance(waiter.token, int)

    @needs("turns")
    def test_lines_of_different_names_are_apart(self, engine: Engine) -> None:
        turns = engine.turns()
        names = [b"", b"\x00", b"\x00\x00", b"\xff", b"door", b"Door", b"doors", bytes(range(256)), 255 * b"a"]
        places = [turns.join(name) for name in names]
        assert [has_turn(place) for place in places] == len(names) * [True]
        assert sorted(line.name for line in turns.lines()) == sorted(names)

    @needs("turns")
    def test_leaving_twice_gives_back_one_turn(self, engine: Engine) -> None:
        turns = engine.turns()
        first, second, third = (turns.join(b"door") for _ in range(3))
        first.leave()
        first.leave()
        assert gets_turn(second)
        first.leave()
        assert not has_turn(third)

    @needs("turns")
    def test_who_leaves_while_waiting_does_not_stop_the_line(self, engine: Engine) -> None:
        turns = engine.turns()
        holder, impatient, patient = (turns.join(b"door") for _ in range(3))
        impatient.leave()
        assert not has_turn(patient)
        holder.leave()
        assert gets_turn(patient)
        assert not has_turn(impatient)

    @needs("turns")
    def test_place_that_is_collected_leaves_the_line(self, engine: Engine) -> None:
        turns = engine.turns()
        holder, waiter, last = (turns.join(b"door") for _ in range(3))
        del waiter
        del holder
        gc.collect()
        assert gets_turn(last)

    @needs("turns")
    def test_line_without_places_does_not_exist(self, engine: Engine) -> None:
        turns = engine.turns()
        first, second = turns.join(b"door"), turns.join(b"door")
        second.leave()
        first.leave()
        assert list(turns.lines()) == []
        line = turns.line(b"door")
        assert (line.name, line.holders, line.waiting) == (b"door", (), ())

    # --- tokens ------------------------------------------------------------------------------------------------------

    @needs("turns")
    def test_tokens_only_grow_over_all_lines(self, engine: Engine) -> None:
        turns, tokens = engine.turns(), []
        for number in range(self.some(30)):
            place = turns.join(b"door %d" % (number % 3))
            assert gets_turn(place)
            assert place.token is not None
            tokens.append(place.token)
            if number % 2:
                place.leave()
            else:
                del place
                gc.collect()
        assert tokens == sorted(set(tokens))

    @needs("turns", "persistent", "shared=processes")
    def test_tokens_grow_after_the_shelf_was_closed(self, engine: Engine, tmp_path: Path) -> None:
        place = engine.turns().join(b"door")
        assert gets_turn(place)
        before = place.token
        place.leave()
        with contextlib.closing(self.reopen(engine, tmp_path, OpenOptions())) as again:
            place = again.turns().join(b"window")
            assert gets_turn(place)
            assert before is not None
            assert place.token is not None
            assert place.token > before
            place.leave()

    # --- semaphores and barriers -------------------------------------------------------------------------------------

    @needs("turns")
    def test_several_have_the_turn_of_a_semaphore(self, engine: Engine) -> None:
        turns = engine.turns()
        places = [turns.join(b"gpu", 3) for _ in range(5)]
        assert [gets_turn(place) for place in places[:3]] == [True, True, True]
        assert [has_turn(place) for place in places[3:]] == [False, False]
        places[1].leave()
        assert gets_turn(places[3])
        assert not has_turn(places[4])
        places[3].leave()
        assert gets_turn(places[4])

    @needs("turns")
    def test_number_of_turns_is_that_of_who_joined_last(self, engine: Engine) -> None:
        turns = engine.turns()
        first, second = turns.join(b"gpu", 1), turns.join(b"gpu", 1)
        assert not has_turn(second)
        third = turns.join(b"gpu", 3)
        assert gets_turn(second)
        assert gets_turn(third)
        fourth = turns.join(b"gpu", 1)
        first.leave()
        second.leave()
        assert not has_turn(fourth)
        third.leave()
        assert gets_turn(fourth)

    @needs("turns")
    def test_barrier_opens_when_all_parties_wait(self, engine: Engine) -> None:
        turns = engine.turns()
        for _ in range(2):
            early = [turns.join(b"start", BARRIER, 3) for _ in range(2)]
            assert [has_turn(place) for place in early] == [False, False]
            places = [*early, turns.join(b"start", BARRIER, 3)]
            assert [gets_turn(place) for place in places] == [True, True, True]
            assert len({place.token for place in places}) == 3
            for place in places:
                place.leave()
        assert list(turns.lines()) == []

    @needs("turns")
    def test_who_left_does_not_count_for_a_barrier(self, engine: Engine) -> None:
        turns = engine.turns()
        turns.join(b"start", BARRIER, 2).leave()
        second = turns.join(b"start", BARRIER, 2)
        assert not has_turn(second)
        third = turns.join(b"start", BARRIER, 2)
        assert gets_turn(second)
        assert gets_turn(third)

    @needs("turns")
    def test_who_has_passed_a_barrier_does_not_open_it_for_others(self, engine: Engine) -> None:
        turns = engine.turns()
        passed = [turns.join(b"start", BARRIER, 2) for _ in range(2)]
        assert [gets_turn(place) for place in passed] == [True, True]
        early = turns.join(b"start", BARRIER, 2)
        assert not has_turn(early)
        last = turns.join(b"start", BARRIER, 2)
        assert gets_turn(early)
        assert gets_turn(last)

    # --- waiting -----------------------------------------------------------------------------------------------------

    @needs("turns")
    def test_wait_in_vain_keeps_the_place(self, engine: Engine) -> None:
        turns = engine.turns()
        holder, waiter, last = (turns.join(b"door") for _ in range(3))
        assert Task(lambda: waiter.wait(0.02)).finish() is False
        assert Task(lambda: waiter.wait(-1)).finish() is False
        holder.leave()
        assert gets_turn(waiter)
        assert not has_turn(last)

    @needs("turns")
    def test_waiter_wakes_when_it_is_called(self, engine: Engine) -> None:
        turns = engine.turns()
        holder, waiter = turns.join(b"door"), turns.join(b"door")
        tasks = [Task(lambda: waiter.wait(None)) for _ in range(2)]
        assert all(task.still_runs() for task in tasks)
        holder.leave()
        assert [task.finish() for task in tasks] == [True, True]

    @needs("turns")
    def test_wait_ends_when_another_thread_leaves_for_it(self, engine: Engine) -> None:
        turns = engine.turns()
        holder, waiter = turns.join(b"door"), turns.join(b"door")
        task = Task(lambda: waiter.wait(None))
        assert task.still_runs()
        waiter.leave()
        assert task.finish() is False
        assert has_turn(holder)

    @needs("turns")
    def test_one_at_a_time_has_the_turn(self, engine: Engine, eager_threads: None) -> None:
        turns = engine.turns()
        inside: list[Place] = []
        most, tokens = [0], list[int]()

        def work() -> None:
            for _ in range(self.some(20)):
                place = turns.join(b"door")
                assert gets_turn(place)
                inside.append(place)
                most[0] = max(most[0], len(inside))
                assert place.token is not None
                tokens.append(place.token)
                inside.remove(place)
                place.leave()

        for task in [Task(work) for _ in range(4)]:
            task.finish()
        assert most == [1]
        assert tokens == sorted(set(tokens)), "tokens are given in the order of the turns"
        assert len(tokens) == 4 * self.some(20)

    @needs("turns")
    def test_function_is_called_once_when_the_turn_comes(self, engine: Engine) -> None:
        turns, called = engine.turns(), threading.Semaphore(0)
        holder, waiter = turns.join(b"door"), turns.join(b"door")
        waiter.when_called(called.release)
        waiter.when_called(called.release)
        assert not called.acquire(timeout=0.02)
        holder.leave()
        assert called.acquire(timeout=PATIENCE)
        assert called.acquire(timeout=PATIENCE)
        assert has_turn(waiter)
        waiter.leave()
        assert not called.acquire(timeout=0.02)

    @needs("turns")
    def test_function_is_called_at_once_if_the_turn_has_come(self, engine: Engine) -> None:
        called: list[str] = []
        place = engine.turns().join(b"door")
        assert gets_turn(place)
        place.when_called(lambda: called.append("has it"))
        assert called == ["has it"]
        place.leave()
        place.when_called(lambda: called.append("left"))
        assert called == ["has it", "left"]

    @needs("turns")
    def test_function_is_called_when_a_waiting_place_is_left(self, engine: Engine) -> None:
        turns, called = engine.turns(), threading.Semaphore(0)
        holder, waiter = turns.join(b"door"), turns.join(b"door")
        waiter.when_called(called.release)
        waiter.leave()
        assert called.acquire(timeout=PATIENCE)
        assert has_turn(holder)

    # --- looking -----------------------------------------------------------------------------------------------------

    @needs("turns")
    def test_line_names_holders_and_waiters(self, engine: Engine) -> None:
        turns, before = engine.turns(), time.time()
        places = [turns.join(b"door", 2, task=task) for task in ("first", "second", "third", "fourth")]
        assert gets_turn(places[0])
        assert gets_turn(places[1])
        line = turns.line(b"door")
        assert (line.name, line.most) == (b"door", 2)
        assert [who.task for who in line.holders] == ["first", "second"]
        assert [who.token for who in line.holders] == [places[0].token, places[1].token]
        assert [who.task for who in line.waiting] == ["third", "fourth"]
        assert [who.token for who in line.waiting] == [None, None]
        everyone = (*line.holders, *line.waiting)
        assert {who.pid for who in everyone} == {os.getpid()}
        assert all(who.host and who.program for who in everyone)
        assert all(before - 60 < who.since < time.time() + 60 for who in everyone)
        assert list(turns.lines()) == [line]

    # --- bells -------------------------------------------------------------------------------------------------------

    @needs("turns")
    def test_bell_wakes_who_waits_at_it(self, engine: Engine) -> None:
        turns = engine.turns()
        bell = turns.bell(b"door")
        sequence = bell.sequence()
        heard = threading.Event()

        def listen() -> None:
            while bell.sequence() == sequence:  # it may return early
                bell.wait(sequence, PATIENCE)
                if heard.is_set():
                    return

        task = Task(listen)
        assert task.still_runs()
        heard.set()
        turns.ring(b"door")
        task.finish()

    @needs("turns")
    def test_ring_between_looking_and_waiting_at_a_bell_is_not_missed(self, engine: Engine) -> None:
        turns = engine.turns()
        sequence = turns.bell(b"door").sequence()
        turns.ring(b"door")
        Task(lambda: turns.bell(b"door").wait(sequence, None)).finish()

    # --- the end -----------------------------------------------------------------------------------------------------

    @needs("turns")
    def test_closing_ends_all_places(self, engine: Engine) -> None:
        turns = engine.turns()
        holder, waiter = turns.join(b"door"), turns.join(b"door")
        task = Task(lambda: waiter.wait(None))
        assert task.still_runs()
        engine.close()
        assert task.finish() is False
        assert not has_turn(holder)
        holder.leave()

    @needs("turns", "persistent", "shared=processes")
    def test_lines_are_shared_by_all_handles(self, engine: Engine, tmp_path: Path) -> None:
        with contextlib.closing(self.open_engine(tmp_path, OpenOptions())) as second:
            mine, theirs = engine.turns().join(b"door"), second.turns().join(b"door")
            assert gets_turn(mine)
            assert not has_turn(theirs)
            assert [who.token for who in second.turns().line(b"door").holders] == [mine.token]
            mine.leave()
            assert gets_turn(theirs)

    @needs("turns", "persistent", "shared=processes")
    def test_closing_a_handle_frees_what_it_held(self, engine: Engine, tmp_path: Path) -> None:
        second = self.open_engine(tmp_path, OpenOptions())
        theirs, mine = second.turns().join(b"door"), engine.turns().join(b"door")
        assert gets_turn(theirs)
        assert not has_turn(mine)
        second.close()
        assert gets_turn(mine)

    @needs("turns=processes")
    def test_killed_holder_gives_its_turn_to_the_next(self, engine: Engine, tmp_path: Path) -> None:
        turns = engine.turns()
        with Child(lambda talk: self._hold(tmp_path, talk)) as child:
            assert child.heard() == "True"
            mine = turns.join(b"door")
            assert not has_turn(mine)
            assert [who.pid for who in turns.line(b"door").holders] == [child.pid]
            task = Task(lambda: mine.wait(None))
            assert task.still_runs()
            child.kill()
            assert task.finish() is True

    def _hold(self, place: Path, talk: Talk) -> None:
        with contextlib.closing(self.open_engine(place, OpenOptions())) as engine:
            place_in_line = engine.turns().join(b"door")
            talk.say(place_in_line.wait(0))
            talk.hear()

    @needs("turns=processes")
    def test_killed_waiter_does_not_stop_the_line(self, engine: Engine, tmp_path: Path) -> None:
        turns = engine.turns()
        holder = turns.join(b"door")
        with Child(lambda talk: self._hold(tmp_path, talk)) as child:
            assert child.heard() == "False"
            last = turns.join(b"door")
            child.kill()
            holder.leave()
            assert gets_turn(last)

    @needs("turns=processes")
    def test_bell_rings_in_other_processes(self, engine: Engine, tmp_path: Path) -> None:
        def listen(talk: Talk) -> None:
            with contextlib.closing(self.open_engine(tmp_path, OpenOptions())) as mine:
                bell = mine.turns().bell(b"door")
                sequence = bell.sequence()
                talk.say("listens")
                while bell.sequence() == sequence:
                    bell.wait(sequence, PATIENCE)
                talk.say("heard it")

        with Child(listen) as child:
            assert child.heard() == "listens"
            engine.turns().ring(b"door")
            assert child.heard() == "heard it"

    @needs("turns=processes")
    def test_forked_child_holds_nothing(self, engine: Engine) -> None:
        mine = engine.turns().join(b"door")

        def look(talk: Talk) -> None:
            talk.say(mine.wait(0))
            mine.leave()
            talk.say(engine.turns().join(b"door").wait(0))

        with Child(look) as child:
            assert child.heard() == "False"
            assert child.heard() == "False", "the parent has the turn still"
            assert child.heard() == ""
        assert has_turn(mine)
        assert not has_turn(engine.turns().join(b"door"))

    @needs("turns=threads")
    def test_forked_child_has_lines_of_its_own(self, engine: Engine) -> None:
        mine = engine.turns().join(b"door")

        def look(talk: Talk) -> None:
            talk.say(mine.wait(0))
            mine.leave()
            talk.say(engine.turns().join(b"door").wait(0))

        with Child(look) as child:
            assert child.heard() == "False"
            assert child.heard() == "True"
            assert child.heard() == ""
        assert has_turn(mine)

    @needs("turns")
    def test_reader_of_lines_changes_nothing(self, engine: Engine) -> None:
        turns = engine.turns()
        assert list(turns.lines()) == []
        assert turns.line(b"door").holders == ()
        with pytest.raises(StopIteration):
            next(turns.lines())
