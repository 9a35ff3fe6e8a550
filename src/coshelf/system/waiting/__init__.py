"""Waiting: how long, how often, and for which descriptors."""
