"""Data sets: what is random is drawn first, then subject by subject is simulated and stored."""
