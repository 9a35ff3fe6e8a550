"""File systems: their kinds, their space, what they keep over a power cut, and what they tell of changes."""
