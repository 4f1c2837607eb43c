"""Sweeps, and what their cells say in numbers, figures and a page.

::

    sweep/    sweeps/*.yaml and the user's axes -> finished cells -> one table
        compose            the configurations that Hydra makes of them
        expand             from blocks and axes to cells: each once, in order, those that make no sense with the reason
        plan, kept         the cells, with their state on disk; a plan is made once, and read as long as it is true
        estimate           what that will cost
        run                runs what is missing, by any launcher; progress, outcome and ending tell
        at_once, prepare   how many at a time where nobody says; their teacher first
        collect            result.json -> results.csv, one row for each figure and cell
    seals     which rows of results.csv are still as they were written
    results   rows that differ in the seed alone are one setting, with its scores by seed
    paths     settings of rising amounts, from logits only to full HSK
    figures/  each figure as plain numbers (chart, charts/), on paper (matplotlib_figure) and on a page (plotly_figure)
    report/   tables of settings and of the minimum knowledge, as plain rows; findings; one page (its HTML: markup)
    stats/    scores by seed -> numbers, intervals and verdicts
        intervals          mean, spread and interval of a setting; the bootstrap over seeds
        comparison         two settings on the seeds they share: different? as good? which tiers?
        marginal_utility   of a curve: gain per added scalar, and whether it diminishes
        saturation         how fast the score approaches its plateau
        minimum            how little hidden-state knowledge is enough
        defaults           margin, level and alpha where nobody says otherwise

    full, logits = {1: 0.90, 2: 0.92, 3: 0.91}, {1: 0.84, 2: 0.87, 3: 0.85}
    paired_difference(full, logits).low            # 0.0423: full HSK is worth at least four points
    marginal_utility({0: logits, 6528: full})      # so many points per scalar and example

A score is a number where more is better, on the scale where 0.01 is one point. A seed names everything that two runs
share beside the setting: the student's start, the order of the data. So settings are compared seed by seed.

The statistics know no files and no models. What the data cannot say is said in the result, as nan, None or a
verdict, so that a report of a half-finished sweep is a report; what the caller mistyped is a ConfigError.
`dataclasses.asdict` makes any result a row of a table.
"""
