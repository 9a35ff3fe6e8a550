"""Results of functions, kept in a shelf: the key of a call, and one computation of each key at a time."""
