"""Depth: which hidden states are distilled. One class, `layer_map(L, S)`; see `base.DepthStrategy`."""
