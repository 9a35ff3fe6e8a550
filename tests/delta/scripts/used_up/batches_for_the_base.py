from scripts.used_up.filling import generation, shelf
from talking import hear, say

say("made")
hear()
shelf["large"] = 0
while generation() < 1:
    shelf["large"] += 1
    shelf.update({("large", n): shelf["large"] for n in range(1001)})
    assert shelf["large"] < 3000
assert {shelf["large", n] for n in range(1001)} <= {shelf["large"], shelf["large"] - 1}
assert len({shelf["large", n] for n in range(1001)}) == 1
shelf.close()
