"""The operating system and optional packages, as coshelf uses them."""
