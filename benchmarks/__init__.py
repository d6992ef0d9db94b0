"""What Tollgate costs, each figure against a named baseline in the same run: `make bench`, `python -m benchmarks`."""
