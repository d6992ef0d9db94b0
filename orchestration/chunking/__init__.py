"""The flow from a transaction log to chunks, quarantine and bronze."""
