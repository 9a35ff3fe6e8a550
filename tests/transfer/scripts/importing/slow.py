import sys

from coshelf.transfer import importing


def tell(done, total):
    print(done, flush=True)
    sys.stdin.readline()


importing.import_entries(sys.argv[1], sys.argv[2], progress=tell)
