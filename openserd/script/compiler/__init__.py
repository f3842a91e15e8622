"""From tree to Python functions, and what these call while they run (`runtime.py`, `values.py`)."""
