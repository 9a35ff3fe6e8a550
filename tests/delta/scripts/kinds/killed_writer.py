import sys

from scripts.kinds.opened import open_shelf
from talking import hear, say

shelf = open_shelf(durability=sys.argv[3], flush_interval=0.002)
start = shelf.get("turn", 0)
for turn in range(start + 1, start + 500):
    shelf["turn"] = turn
    shelf.update({("half", n): turn for n in range(5)})
    say(turn)
hear()
