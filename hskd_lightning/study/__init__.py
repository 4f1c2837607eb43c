"""Sweeps, and what their cells say in numbers, figures and a page.

::

    sweeps/*.yaml  ---- compose      the configurations that Hydra makes of them
                        plan         cells: each once, in order, with their state on disk
                        sweep        runs what is missing, by any launcher; progress and outcome tell
                        estimate     what that will cost
    result.json    ---- collect      one row for each figure and cell
                        seals        which rows are still as they were written

    results.csv    ---- settings     rows that differ in the seed alone, and their scores by seed
                        tables       of settings and of the minimum knowledge, as plain rows
                        charts       each figure as plain numbers; for paper (figures) and for a page (report)

    scores by seed ---- intervals    mean, spread and interval of a setting; the bootstrap over seeds
          |        ---- comparison   two settings on the seeds they share: different? as good? which tiers?
    curve of them  ---- curve        gain per added scalar, and whether it diminishes
          |        ---- saturation   how fast the score approaches its plateau
          |        ---- minimum      how little hidden-state knowledge is enough

    full, logits = {1: 0.90, 2: 0.92, 3: 0.91}, {1: 0.84, 2: 0.87, 3: 0.85}
    paired_difference(full, logits).low            # 0.0423: full HSK is worth at least four points
    marginal_utility({0: logits, 6528: full})      # so many points per scalar and example

A score is a number where more is better, on the scale where 0.01 is one point. A seed names everything that two runs
share beside the setting: the student's start, the order of the data. So settings are compared seed by seed.

The statistics know no files and no models. What the data cannot say is said in the result, as nan, None or a
verdict, so that a report of a half-finished sweep is a report; what the caller mistyped is a ConfigError.
`dataclasses.asdict` makes any result a row of a table.
"""
