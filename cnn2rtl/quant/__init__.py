"""From floats to integers: formats, requantisation, calibration."""
