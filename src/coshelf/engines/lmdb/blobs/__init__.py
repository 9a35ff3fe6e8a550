"""Blobs beside a shelf on lmdb: the files in a folder, and the rows that say which entry names which blob."""
