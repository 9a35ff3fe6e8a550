"""Describes a stored value without unpickling it: its types, sizes, beginning and instructions.

It looks up, imports and calls nothing that a pickle names. It takes little time and memory for any bytes.
"""

from coshelf.inspection.preview.instructions import Instruction, instructions
from coshelf.inspection.preview.previews import Preview, payload_of, preview_of

__all__ = ["Instruction", "Preview", "instructions", "payload_of", "preview_of"]
