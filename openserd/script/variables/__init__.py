"""Pseudo-variables, their transformations, and formatted text with variables in it."""
