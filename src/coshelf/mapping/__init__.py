"""The dict: shelves, snapshots and transactions over an engine, and how their keys are selected."""
