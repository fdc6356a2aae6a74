"""What makes a release one that a stranger can check: its bill of materials, its signature, and the checks."""
