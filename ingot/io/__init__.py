"""Files: records in every format, containers of packed models, progress."""
