"""Lines of turns in memory that all processes of a machine share. docs/design.md, "Lines of turns"."""
