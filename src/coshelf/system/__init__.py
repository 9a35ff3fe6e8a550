"""Access to the operating system and to optional packages."""
