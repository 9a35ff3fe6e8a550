"""Describes a shelf and what it holds, without loading a value."""
