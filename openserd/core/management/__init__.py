"""What an operator sees of a running server: management commands and statistics."""
