"""openserctl (`commands/`) and openserdbctl (`database/`): what an operator types."""
