"""The way of a request: to a new transaction or its own, then to the branches (RFC 3261 sections 16.6, 16.10, 17.2)."""
