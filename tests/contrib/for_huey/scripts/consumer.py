"""A real consumer of huey. Its task lasts until the test says so."""

import sys

from talking import hear, path, say

from coshelf.contrib.huey import CoshelfHuey

huey = CoshelfHuey("tests", target=path, redeliver=int(sys.argv[2]))


@huey.task(name="work")
def work():
    say("begun")
    hear()
    say("ended")


if sys.argv[3] == "put":
    work()
huey.create_consumer(workers=1, periodic=False).run()
