"""A search from its start to its winner: sessions, and what they have to train on."""
