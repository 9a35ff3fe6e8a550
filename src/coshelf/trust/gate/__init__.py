"""Unpickling plain data: no class and no function is looked up, except those that data is made of.

What is loaded here cannot run code. It can still ask for a lot of memory: that only a signature prevents.
"""

from coshelf.trust.gate.unpickling import Gate

__all__ = ["Gate"]
