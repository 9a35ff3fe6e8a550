"""What a shelf is and holds, told without loading a value."""
