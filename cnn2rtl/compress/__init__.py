"""Training that makes a network smaller: quantisation-aware training. Imported by the command that trains alone."""
