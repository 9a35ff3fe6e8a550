import sys

from scripts.meetings_of_two.meeting import ACTIONS, SETTINGS, meet
from talking import say

name, which = sys.argv[2:]
shift = sum(map(ord, name))
reached = 0
for number, action in enumerate(ACTIONS):
    for turn in (1, 2):
        some = [SETTINGS[(shift + number * 2 + turn) % 6]] if which == "bounded" else SETTINGS
        for durability, flush_interval, keeper in some:
            reached += meet(name, action, durability, flush_interval, keeper, turn=turn, stays=turn == 1)
say(reached)
