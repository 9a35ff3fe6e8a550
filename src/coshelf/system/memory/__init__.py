"""Memory that processes share: maps of files, and waiting for a word to change."""
