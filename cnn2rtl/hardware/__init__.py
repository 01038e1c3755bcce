"""The vocabulary of hardware: units, their timing, and the builders of those that layer kinds share."""
