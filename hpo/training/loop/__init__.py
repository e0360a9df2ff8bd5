"""The loop in plain torch, and its parts: what a search runs, and what an export prints, word for word."""
