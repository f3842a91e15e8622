"""What scripts, operators and other modules have of transactions."""
