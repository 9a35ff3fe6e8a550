"""Mutated records, keys and files: no crash, no hang, no code run, no error but ours. ``make fuzz`` has a million."""

from __future__ import annotations

import contextlib
import os
import pickle
import platform
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import campaign
import pytest
import targets
from hypothesis import given, settings
from hypothesis import strategies as st
from watch import CodeRan, watching

import programs
from coshelf.errors import CoshelfError, DamagedRecord
from coshelf.keys import decode, encode
from coshelf.trust.gate import Gate, unpickling
from coshelf.trust.gate.interpreter import Interpreter
from coshelf.trust.gate.quick import load_checked
from starting import environment

HERE = Path(__file__).parent
GUIDED = HERE / "guided.py"
COUNTS = {
    "record": 2_000, "layered record": 1_000, "timed record": 1_000, "signed record": 500, "gate": 2_000,
    "key": 2_000, "file": 100,
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def own_state(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


# --- blind -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", COUNTS)
def test_no_mutated_input_crashes_hangs_or_runs_code(target: str) -> None:
    done = campaign.Campaign(target, seed=1)
    done.run(COUNTS[target])
    assert not done.findings, done.findings[:3]
    assert done.inputs == sum(done.outcomes.values()) == COUNTS[target]
    assert done.repaired >= done.inputs / 2
    assert len(done.outcomes) > 1, done.outcomes  # they get somewhere


@pytest.mark.long
@pytest.mark.timeout(6 * 3600)
def test_no_program_gets_through_the_gate() -> None:
    """All combinations of a type and an instruction, as far as two million programs go."""
    done = campaign.Campaign("gate", seed=2)
    done.run(2_000_000)
    assert not done.findings, done.findings[:3]


def test_the_gates_programs_touch_every_type_with_every_instruction() -> None:
    codes = {code for body in map(programs.touched, range(len(programs.TOUCHES))) for code in body}
    assert {"BUILD", "APPEND", "APPENDS", "SETITEM", "SETITEMS", "ADDITEMS", "REDUCE", "NEWOBJ", "NEWOBJ_EX"} <= codes
    assert len(programs.subjects()) > 150


def test_what_the_quick_ways_give_the_interpreter_gives_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of programs that are near to their form: each value of the unpickler in C is one of the gate's interpreter."""
    gate, quick = Gate(), []

    def noted(data: bytes, levels: int) -> Any:
        value = load_checked(data, levels)
        quick.append(value)
        return value

    monkeypatch.setattr(unpickling, "load_checked", noted)
    compared = 0
    for number in range(8_000):
        data = programs.quick_program(random.Random(f"quick {number}"))
        quick.clear()
        with contextlib.suppress(Exception):
            gate.loads(data)
        if quick:
            compared += 1
            assert repr(Interpreter(data, gate._name, None).run()) == repr(quick[0]), data
    assert compared > 50


def test_inputs_are_the_same_for_the_same_seed() -> None:
    first = [campaign.input_of("record", 5, number) for number in range(50)]
    assert first == [campaign.input_of("record", 5, number) for number in range(50)]
    assert first != [campaign.input_of("record", 6, number) for number in range(50)]


# --- guided by coverage ----------------------------------------------------------------------------------------------


def guided(target: str, runs: int, place: Path) -> subprocess.CompletedProcess[str]:
    if platform.machine() != "x86_64":
        pytest.skip("atheris has no wheel for this machine")
    pytest.importorskip("atheris") if not os.environ.get("CI") else __import__("atheris")
    command = [sys.executable, str(GUIDED), target, f"-runs={runs}", "-seed=1", f"-artifact_prefix={place}/"]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize(
    ("target", "runs"),
    [
        ("record", 4_000),
        *[
            pytest.param(*given, marks=pytest.mark.long)
            for given in (("record", 40_000), ("key", 40_000), ("file", 400))
        ],
    ],
)
def test_no_input_found_by_coverage_does_harm(target: str, runs: int, tmp_path: Path) -> None:
    done = guided(target, runs, tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    (made,) = re.findall(r"Done (\d+) runs", done.stderr)
    assert int(made) >= runs  # it ends after a mutation that began before
    cover = [int(number) for number in re.findall(r"cov: (\d+)", done.stderr)]
    assert cover[-1] > 100


def test_the_guided_fuzzer_finds_what_chance_does_not(tmp_path: Path) -> None:
    import random

    chance = random.Random(1)
    for _ in range(200_000):
        targets.planted(chance.randbytes(8), True)
    done = guided("planted", 2_000_000, tmp_path)
    assert "the planted fault was found" in done.stdout + done.stderr
    assert done.returncode != 0


# --- by hypothesis ---------------------------------------------------------------------------------------------------

KEYS = st.recursive(
    st.none() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4).map(tuple),
)


@given(KEYS, st.data())
def test_changed_keys_are_other_keys_or_damaged(key: Any, data: st.DataObject) -> None:
    encoded = bytearray(encode(key))
    at = data.draw(st.integers(0, len(encoded) - 1))
    encoded[at] = data.draw(st.integers(0, 255))
    targets.key(bytes(encoded), True)


@given(st.binary(max_size=80))
def test_any_bytes_are_a_key_or_damaged(data: bytes) -> None:
    try:
        found = decode(data)
    except DamagedRecord:
        return
    assert encode(found) == data


@settings(max_examples=300)
@given(st.binary(max_size=200), st.booleans(), st.sampled_from([b"", b"\x80\x05", b"\x80\x02", b"\x01", b"\x02P"]))
def test_any_bytes_are_a_record_that_is_refused_or_data(data: bytes, repaired: bool, begin: bytes) -> None:
    record = targets.record_of(begin + data, repaired=repaired)
    if record:
        try:
            targets.PLAIN.load("k", encode("k"), record)
        except CoshelfError:
            pass


# --- the tests themselves --------------------------------------------------------------------------------------------


class Opening:
    def __reduce__(self) -> Any:
        return open, (str(HERE / "made"), "w")


class Running:
    def __reduce__(self) -> Any:
        return os.system, ("true",)


@pytest.mark.parametrize("value", [Opening(), Running()])
def test_code_that_runs_is_noticed(value: Any) -> None:
    data = pickle.dumps(value)
    with pytest.raises(CodeRan), watching():
        pickle.loads(data)
    with pytest.raises(CodeRan), watching():  # also when it is caught on the way
        try:
            pickle.loads(data)
        except Exception:
            pass
    assert not (HERE / "made").exists()


def test_a_time_that_is_misread_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    data = (1 << 50).to_bytes(8, "little") + pickle.dumps(1)
    assert targets.timed_record(data, True) == "value, over"
    for name, broken in (("is_over", lambda *_: False), ("bare", bytes), ("time_of", lambda _: 1 << 51)):
        with monkeypatch.context() as patch:
            patch.setattr(targets, name, broken)
            with pytest.raises(AssertionError):
                targets.timed_record(data, True)


PLANTED = HERE / "scripts" / "planted" / "faults.py"


@pytest.mark.parametrize("fault", ["unsafe", "dying", "standing still"])
def test_faults_are_found_at_their_input(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A decoder with a fault in it: plain ``pickle.loads``, one that ends the process, one that never returns."""
    start = subprocess.Popen

    def planted(command: list[str], **options: Any) -> Any:
        paths = {"PYTHONPATH": environment()["PYTHONPATH"]}
        return start([sys.executable, PLANTED, fault, *command[3:]], **options | {"env": options["env"] | paths})

    monkeypatch.setattr(campaign.subprocess, "Popen", planted)
    monkeypatch.setattr(campaign, "PATIENCE", 4.0 if fault == "standing still" else 20.0)
    found = campaign.Campaign("record", seed=1)
    found.run(200 if fault == "unsafe" else 40)
    assert found.findings
    if fault == "unsafe":
        assert any("CodeRan" in finding["what"] for finding in found.findings)
    else:
        assert found.findings[0]["number"] == 29
        assert ("died with -6" if fault == "dying" else "stood still") in found.findings[0]["what"]
        assert found.inputs == 40
