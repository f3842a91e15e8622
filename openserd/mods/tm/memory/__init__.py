"""Transactions in shared memory, and how the message at hand finds its own."""
