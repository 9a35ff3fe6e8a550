"""What a page shows of a value, without loading it if loading could run code."""
