"""What coshelf asks of the operating system and of optional packages."""
