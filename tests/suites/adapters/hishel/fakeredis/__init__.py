"""In place of the package of this name, which the suite's modules import: their storages are shelves here."""
