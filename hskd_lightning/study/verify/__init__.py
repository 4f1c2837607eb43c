"""Committed results, run again in small and held against what they say.

::

    recipe     verify.yaml beside a results.csv: which settings, and what must hold of them
    rerun      these settings anew, in a folder where nothing is
    judge      what came out, beside what is committed
"""
