from arrays import signed
from talking import path, say

import coshelf

shelf = coshelf.open(path, flush_interval=0.005)
number = 0
while True:
    number += 1
    with shelf.transaction() as t:
        t["a"] = signed(number)
        t["b"] = signed(number)
    say(number)
