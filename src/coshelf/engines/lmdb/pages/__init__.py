"""LMDB's pages: their layout, their headers and trees, and the checksums over them, read without LMDB.

Only ``row_pages`` is different: it reads rows by LMDB, many at a time.
"""
