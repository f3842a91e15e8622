"""What `loadmodule` names: a file or a folder for each module. Modules meet only through published objects."""
