"""The keys of a shelf as a tree, as rows of lists, and as what a search finds."""
