"""What happens where trials train."""
