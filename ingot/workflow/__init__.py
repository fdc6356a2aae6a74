"""Say what a configuration builds, and start the steps. Only this package knows the workflow engine."""
