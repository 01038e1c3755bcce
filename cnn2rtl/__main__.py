"""``python -m cnn2rtl``."""

from cnn2rtl.cli import main

main()
