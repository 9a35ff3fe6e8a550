import os
import sys

if sys.argv[3]:
    os.mkdir(sys.argv[2])
    os.chmod(sys.argv[2], 0o777)
os.symlink(sys.argv[1], os.path.join(sys.argv[2], sys.argv[3]).rstrip("/"))
