"""From text to tree, and the words for what cannot be read."""
