"""Shelves in the form that other frameworks ask for: one module each, which imports the framework when it is used.

docs/integrations/index.md lists them. The entries of an adapter are a part of a shelf, so several frameworks, and the
program itself, may use one shelf at the same time, from any number of processes.
"""
