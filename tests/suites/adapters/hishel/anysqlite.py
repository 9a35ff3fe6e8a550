"""In place of the package of this name, which the suite's modules import: their storages are shelves here."""


async def connect(path: str) -> str:
    """What the suite makes a storage of."""
    return path
