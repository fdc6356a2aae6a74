"""Fill the templates of pages and cards, and draw plots."""
