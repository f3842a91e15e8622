"""The way of a reply: to its branch, the choice of what the caller gets, failure routes (RFC 3261 section 16.7)."""
