"""Processes: which one this is, forks, and the ends of others."""
