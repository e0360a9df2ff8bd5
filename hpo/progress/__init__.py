"""How far a search is: its clock, what it has spent, what is left to do, and what more would bring."""
