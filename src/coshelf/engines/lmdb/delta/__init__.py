"""The delta: commits that wait for a flush, and the flush that writes them to the base."""
