"""The commands of openserctl, a file for each group; `__main__.py` beside this folder names them."""
