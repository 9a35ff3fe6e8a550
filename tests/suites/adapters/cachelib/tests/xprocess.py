"""In the place of pytest-xprocess, which conftest.py imports for servers that these tests do not need."""

ProcessStarter = object
