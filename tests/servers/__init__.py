"""Real servers for tests, and tests of the engines on them."""
