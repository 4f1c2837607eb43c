"""Where a student gets its knowledge. `source.KnowledgeSource` is the seam of the whole program: left of it nobody
knows about students, right of it nobody knows whether a teacher ran.
"""
