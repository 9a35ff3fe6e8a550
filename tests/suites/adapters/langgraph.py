"""LangGraph's conformance package for checkpoint savers, one test for each of its eight capabilities."""

from __future__ import annotations

from adapter_suite import Suite

SUITE = Suite(
    name="langgraph",
    distribution="langgraph-checkpoint-conformance",
    label="its conformance package for savers: base and extended capabilities",
    overlay=("test_conformance.py",),
    tests=("test_conformance.py",),
    options=("-p", "no:asyncio"),
)
