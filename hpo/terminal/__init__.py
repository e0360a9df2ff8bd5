"""What a person sees in a terminal: help, the live view of a search, tables. Importing it costs nothing."""
