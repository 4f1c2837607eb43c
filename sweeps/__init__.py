"""The sweeps of the study, one file a figure; plan/ has the cells. `train -m --config-name depth` runs one."""
