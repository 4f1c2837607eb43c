"""W&B dashboards as code: one workspace and one report of the same panels.

panels.py    what is shown, and what for
boards.py    the workspace and the report made of it
publish.py   to W&B: made where there is none of that name, else updated
"""
