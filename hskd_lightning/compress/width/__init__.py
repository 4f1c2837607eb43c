"""Width: which hidden units, or which directions, are distilled. See `base.WidthStrategy` and `codes`."""
