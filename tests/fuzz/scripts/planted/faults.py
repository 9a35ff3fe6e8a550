"""Works on inputs as the campaign does, with a fault in the decoder of records."""

import os
import pickle
import sys
import time

import campaign
import targets
from watch import watching

count = 0


def unsafe(data, repaired):
    with watching():
        try:
            pickle.loads(data)
        except Exception:
            return "refused"
    return "value"


def dying(data, repaired):
    global count
    count += 1
    if count == 30:
        os.abort()
    return "fine"


def standing_still(data, repaired):
    global count
    count += 1
    if count == 30:
        time.sleep(1000)
    return "fine"


targets.TARGETS["record"] = {"unsafe": unsafe, "dying": dying, "standing still": standing_still}[sys.argv[1]]
campaign.work("record", 1, int(sys.argv[4]), int(sys.argv[5]), sys.argv[6])
