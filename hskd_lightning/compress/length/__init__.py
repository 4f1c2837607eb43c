"""Length: which tokens are distilled. A strategy scores an example's tokens; see `base.LengthStrategy`."""
