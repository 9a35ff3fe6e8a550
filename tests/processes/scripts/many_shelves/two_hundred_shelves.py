import resource

from talking import path

import coshelf

resource.setrlimit(resource.RLIMIT_NOFILE, (1024, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
shelves = [coshelf.open(f"{path}-{number}") for number in range(200)]
for number, shelf in enumerate(shelves):
    shelf["number"] = number
for number, shelf in enumerate(shelves):
    assert shelf["number"] == number
    shelf.close()
