"""The stage that makes integers of a float graph: ranges, formats, rounding, widths."""
