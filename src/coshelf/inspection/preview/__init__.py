"""What is stored under a key, told without unpickling it: types, sizes, the beginning, the instructions.

Nothing is looked up, imported or called, and it takes little time and memory whatever the bytes are.
"""

from coshelf.inspection.preview.instructions import Instruction, instructions
from coshelf.inspection.preview.previews import Preview, payload_of, preview_of

__all__ = ["Instruction", "Preview", "instructions", "payload_of", "preview_of"]
