"""The text of a script: files put together, directives carried out, and the way back to every place."""
