"""The studio: a build in the browser, as it runs and as it ended."""
