import sys

with open(sys.argv[1] + "/folder/planted", "wb") as file:
    file.write(bytes.fromhex(sys.argv[2]))
