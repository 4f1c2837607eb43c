"""Is this machine fit to run? What a cell will find here, found out beforehand.

finding      what a check says: ok, a note (it works, but slower or less than it could), or red with a remedy;
             and how one is run that fails itself
libraries    Python and packages against what this package asks for; it imports none of them
processor    cores, threads, products a second
gpus         what torch sees of what the driver has
disk         room, leave to write, locks
caches       what lies in the hub's cache and among the artifacts, and what nobody will finish
network      the hub, W&B
scheduler    SLURM, torchrun and Ray against the devices of a cell
sources      the folders that GLUE_ROOT and HSKD_MINILM name
examination  the checks by group
printed      a line a finding; nothing secret
"""
