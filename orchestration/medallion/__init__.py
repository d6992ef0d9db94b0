"""The flow from bronze to silver and gold, audited and published."""
