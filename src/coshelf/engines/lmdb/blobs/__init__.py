"""Blobs beside a shelf on lmdb: the files of a folder, and the rows that say which of them is named by what."""
