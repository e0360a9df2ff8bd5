"""From the user's words to a search that can start, and what it means to the code."""
