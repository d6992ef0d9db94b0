"""Adapters: one small file per foreign format, each mapping it to the canonical payment event."""
