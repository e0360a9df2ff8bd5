"""What there is to train on: hardware, what of it this process may use, how busy it is."""
