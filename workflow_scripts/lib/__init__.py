"""What two steps share, or what deserves its own tests."""
