"""Programs that run on Spark, with or without Dagster."""
