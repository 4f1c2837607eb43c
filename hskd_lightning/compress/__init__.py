"""Which part of the hidden-state knowledge is kept: depth -> length -> width.

::

    teacher states 0..L, each (B, T, D)
        |  depth   which states:   LayerMap         P of them            compress/depth/,  conf/depth/
        |  length  which tokens:   TokenSelection   K of each            compress/length/, conf/length/
        |  width   which units:    UnitCode         W of each            compress/width/,  conf/width/
        v
    HiddenTarget (B, P, K, W)

How much of each is kept is said by hand (`keep`), or by one number for all three, `hsk.amount` (amount), which goes one
of several ways (paths).

Pure tensor code: no models, no Lightning, no files. One strategy is one small class in a file of its name, and one
yaml of the same name. To add one, write these two files: nothing else is edited, and the contract suite in
tests/contracts/ tests it.
"""
