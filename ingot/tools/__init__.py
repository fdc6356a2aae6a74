"""What people start by hand: the records of a step in the browser, an unpacked model, the figures of the docs."""
