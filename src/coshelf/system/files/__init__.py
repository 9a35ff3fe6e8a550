"""Files as the operating system has them: opening, names, owners, space, durability, kinds of file systems."""
