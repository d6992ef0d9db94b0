"""Mechanism Y: finds the three patterns in the landed chunks."""
