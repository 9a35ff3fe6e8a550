"""Keeps the changes that commits make while somebody watches, and reads them. docs/design.md, "Changes"."""
