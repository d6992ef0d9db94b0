"""The contract: what data must look like, and where it lives. Imports nothing else of the project."""
