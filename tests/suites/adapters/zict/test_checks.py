"""zict's checks of mappings, with a mapping in a shelf."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from zict.tests import utils_test

from coshelf.contrib.zict import CoshelfMapping


@pytest.fixture
def mapping(tmp_path: Path) -> Iterator[CoshelfMapping]:
    with CoshelfMapping(tmp_path / "a.shelf") as mapping:
        yield mapping


@pytest.mark.parametrize(
    "check",
    [
        utils_test.check_mapping,
        utils_test.check_empty_mapping,
        utils_test.check_different_keys_threadsafe,
        utils_test.check_same_key_threadsafe,
        utils_test.check_bad_key_types,
        utils_test.check_bad_value_types,
        utils_test.check_closing,
    ],
)
def test_a_mapping_passes(check: Callable[[CoshelfMapping], None], mapping: CoshelfMapping) -> None:
    check(mapping)
