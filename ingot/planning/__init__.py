"""Say what a build needs, before it runs: bytes, memory, time and money of each step."""
