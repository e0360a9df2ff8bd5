"""Plain torch that only an exported train.py needs: it is printed there, word for word."""
