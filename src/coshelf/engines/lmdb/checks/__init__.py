"""Checks for damage: of a file by its path, of its records, and of a running shelf.

``opening`` has what an opener checks before LMDB maps a file, and ``salvaging`` saves what is readable.
"""
