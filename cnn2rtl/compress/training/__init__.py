"""Training as a person can live with it: a recipe, a folder per run, and nothing lost when it is interrupted."""
