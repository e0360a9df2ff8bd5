"""What a search came to, in plain data and in words."""
