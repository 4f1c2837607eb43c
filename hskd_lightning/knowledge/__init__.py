"""Where a student gets its knowledge. `source.KnowledgeSource` is the seam of the whole program: left of it nobody
knows about students, right of it nobody knows whether a teacher ran.

teacher_source   the teacher in memory, once more for every batch          (knowledge=online)
store_source     a store that covers the cell: no teacher                  (knowledge=offline)
    request      what a cell needs, what a store has, when the one answers the other
    writer       one teacher pass -> shards of safetensors                  shards, values: their layout and dtypes
    manifest     sealed, and checked before anything is believed            verify: a sample against the live teacher
    store        the open store: one gather a layer into the padded batch   index, transfer: push and pull
    device_store the same for a student on a GPU: small stores lie there, large ones cross as narrow as they are
control/         either of them, with other hidden states than the teacher's                (control=shuffled, ...)
"""
