"""Makes, opens, closes, copies and replaces the shelf's file and the files beside it."""
