"""Files as the operating system has them: opening, names, places and errors."""
