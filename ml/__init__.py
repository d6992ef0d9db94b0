"""Features, training, evaluation, registry and scoring. What stands here so far is the package itself."""
