"""Locks between the processes that have a shelf open, and waiting for them."""
