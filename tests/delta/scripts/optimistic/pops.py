from scripts.optimistic.flushing import shelf
from talking import say

got = [n for n in range(300) if shelf.pop(n, None) is not None]
say(*got)
