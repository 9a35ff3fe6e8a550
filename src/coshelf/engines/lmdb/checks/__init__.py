"""Looking for damage in a shelf's file, and saving what is readable."""
