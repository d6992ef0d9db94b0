"""Who is told when something fails."""
