"""The tiny world: tasks that are generated, with answers that are known."""
