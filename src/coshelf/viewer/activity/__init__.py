"""What happens in a shelf now: its changes, its processes, locks and queues, its speed, and what takes its space.

``page``, ``streaming`` and ``size_map`` show it in the viewer. The other modules know nothing of the web.
"""
