"""The integer network for other software. What layer kinds write with lies apart from what knows the whole graph."""
