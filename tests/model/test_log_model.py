"""The model of the log (docs/model/log.pml) keeps its promises, and breaks them if one step is changed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]

SIZES = {
    "puts and batches": "COMMITS=2",
    "two writers": "WRITERS=2 COMMITS=1 KINDS=2",
    "two flushers": "COMMITS=1 KINDS=1 FLUSHERS=2",
    "a writer or a flusher dies": "COMMITS=1 KINDS=1 DEATHS=1",
    "two writers, one dies": "WRITERS=2 COMMITS=1 KINDS=2 FLUSHERS=0 DEATHS=1",
    "writer, direct commit": "COMMITS=1 KINDS=1 FLUSHERS=0 DIRECTS=1",
    "writer, direct commit, one dies": "COMMITS=1 KINDS=1 FLUSHERS=0 DIRECTS=1 DEATHS=1",
}
"""Sizes at which every state is searched."""

MUTATIONS = {
    "HEAD_EARLY": "COMMITS=2",
    "SLOT_BEFORE_RECORD": "COMMITS=2 KINDS=1",
    "DIRTY_LATE": "KINDS=1",
    "DIRTY_UNLOCKED": "",
    "NUMBER_LATE": "WRITERS=2 COMMITS=1 FLUSHERS=0 KINDS=1 DEATHS=1",
    "LAST_LATE": "COMMITS=1 KINDS=1 DEATHS=2",
    "CLAIM_UNLOCKED": "COMMITS=1 KINDS=1 FLUSHERS=0 DIRECTS=1",
    "NO_CLAIM": "COMMITS=1 KINDS=1 FLUSHERS=0 DIRECTS=1",
    "NO_BARRIER": "COMMITS=1 KINDS=1 FLUSHERS=0 DIRECTS=1",
    "NO_RECOVERY": "WRITERS=2 COMMITS=2 FLUSHERS=0 KINDS=2 DEATHS=1",
    "UNDO_ONE": "WRITERS=2 COMMITS=2 FLUSHERS=0 KINDS=4 RECORDS=3 READERS=0 DEATHS=1",
    "NO_BUMP": "WRITERS=2 COMMITS=2 FLUSHERS=0 KINDS=2 DEATHS=1",
    "BUMP_EARLY": "WRITERS=2 COMMITS=2 FLUSHERS=0 KINDS=2 DEATHS=1",
    "NO_EPOCH": "COMMITS=2 KINDS=2 FLUSHES=2",
    "EPOCH_PLUS": "COMMITS=1 KINDS=1 FLUSHERS=2 DEATHS=1",
    "NO_RECHECK": "COMMITS=2 KINDS=2 FLUSHES=2",
    "NO_PREVIOUS": "KINDS=1",
    "NO_SEQUENCE": "COMMITS=1 KINDS=1 FLUSHERS=0 DIRECTS=1",
    "BASE_FIRST": "COMMITS=1 KINDS=1",
    "OLDER_FIRST": "COMMITS=2 KINDS=1",
    "SWAP_FULL": "COMMITS=2 KINDS=2 READERS=0 DEATHS=1",
    "EMPTY_FIRST": "COMMITS=1 KINDS=1",
    "EMPTY_ACTIVE": "COMMITS=2 KINDS=1 FLUSHERS=2",
    "SEQUENCE_UNSET": "COMMITS=1 KINDS=1",
    "SEQUENCE_BACK": "COMMITS=2 KINDS=1 FLUSHES=3",
}
"""For each mutation the size at which it is found."""


@pytest.mark.parametrize("size", SIZES)
def test_no_commit_is_lost_torn_or_seen_to_go_back(size: str, errors_in: Callable[[str, str], int]) -> None:
    assert errors_in("log.pml", SIZES[size]) == 0


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_model_finds_the_mutation(mutation: str, errors_in: Callable[[str, str], int]) -> None:
    assert errors_in("log.pml", f"MUTATE_{mutation} {MUTATIONS[mutation]}") == 1
