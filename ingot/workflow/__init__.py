"""The one place that knows the workflow engine: what a configuration builds, and how a step is started."""
