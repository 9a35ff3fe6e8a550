"""The delta: commits that wait for a flush, and the flush that carries them to the base."""
