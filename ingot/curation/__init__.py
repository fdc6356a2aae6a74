"""What happens to records: shapes, filters, screens, and the account of what was dropped."""
