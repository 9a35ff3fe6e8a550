"""The shelf's file and the files beside it: made, opened, closed, copied and replaced."""
