"""LMDB's pages: their layout, their headers and trees, and the checksums over them, read without LMDB.

``row_pages`` alone is of another kind: it reads rows by LMDB, many at a time.
"""
