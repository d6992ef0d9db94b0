"""Dagster, and the plain-Python steps of each flow beside their assets."""
