"""Daily finance: reconciliation with the core bank, audited tables, and their proof."""
