"""Lines of turns in rows of any engine whose commits can check versions, for processes that share no memory."""
