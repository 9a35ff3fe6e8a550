"""Threads, tasks and greenlets: who makes a call, how they wait for each other, and how the program ends."""
