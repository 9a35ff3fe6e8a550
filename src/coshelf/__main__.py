"""``python -m coshelf``."""

from coshelf.cli import main

if __name__ == "__main__":
    main()
