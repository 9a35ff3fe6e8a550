"""What processes that share a shelf agree on: locks, semaphores, barriers, queues and deques."""
