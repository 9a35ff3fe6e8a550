import random
import shutil
import sys
from collections.abc import Sequence

import meetings
from scripts.meetings_of_two.meeting import ACTIONS, directory, meet
from talking import say

durability, which, number = sys.argv[2], sys.argv[3], int(sys.argv[4])
last = meetings.count_steps(directory, durability)
shutil.rmtree(directory)
# Some of the last steps are not reached each time: what there is to flush depends on the moment.
steps: Sequence[int] = range(1 + number, last + 1, 70)
if which == "bounded":
    steps = random.Random(number).sample(range(1, last + 1), 5)
met = [
    meet(step, action, durability, 1.0, (step + number) % 2 == 1, stays=step // 2 % 2 == 1)
    for step in steps
    for action in ACTIONS
]
say(sum(met), len(steps))
