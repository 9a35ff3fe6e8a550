"""Locks of the operating system on files."""
