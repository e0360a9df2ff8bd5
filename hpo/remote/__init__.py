"""Searches that run elsewhere: submitted from here, and watched."""
