"""Pages, cards and plots: templates, and what fills them."""
