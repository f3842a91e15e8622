"""What is found out about a tree before and without compiling it: errors, warnings, lints."""
