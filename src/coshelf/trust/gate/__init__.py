"""Unpickling plain data: no class and no function is looked up, except those that data is made of.

A pickle that is loaded here cannot run code. It can still ask for a lot of memory; only a signature prevents that.
"""

from coshelf.trust.gate.unpickling import Gate

__all__ = ["Gate"]
