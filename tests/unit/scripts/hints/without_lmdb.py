import coshelf

try:
    coshelf.open("a.shelf")
except coshelf.MissingExtra as error:
    print(error)
with coshelf.open("sqlite:a.db") as shelf:
    shelf["k"] = 1
    print(shelf["k"])
