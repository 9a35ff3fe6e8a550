import os
import sys

os.umask(0)
staging = sys.argv[1]
if sys.argv[2] == "whole":
    os.mkdir(staging)
os.makedirs(staging + "/0", exist_ok=True)
