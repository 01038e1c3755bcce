"""From a PyTorch file or module to the float graph: the one stage that imports torch."""

from cnn2rtl.frontend.export import capture
from cnn2rtl.frontend.load import load_model

__all__ = ["capture", "load_model"]
