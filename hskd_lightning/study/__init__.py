"""Sweeps, and what their cells say in numbers, figures and a page.

::

    sweep/    sweeps/*.yaml and the user's axes -> finished cells -> one table
        compose            the configurations that Hydra makes of them
        expand             from blocks and axes to cells: each once, in order, those that make no sense with the reason
        plan, kept         the cells, with their state on disk; a plan is made once, and read as long as it is true
        estimate           what that will cost
        foresight          and what it can show
        run                runs what is missing, by any launcher; progress, outcome and ending tell
        tuned              the same learning rates for each arm, chosen on the selection split
        at_once, prepare   how many at a time where nobody says; their teacher first
        collect            result.json -> results.csv, one row for each figure and cell
        rescore            what students of an earlier version say of each dev example
        tuned              the learning rates that a grid chose for each arm
        search, launching  the rounds of `study minimum`; search_rules: what it is asked; found: how it ends
    arguments the command line, and which command reads which flag
    rules     study.json: what was fixed before the first cell
    examples  examples.parquet: what each student said of each dev example
    search/   which settings to try, which to confirm, what is shown: a function of scores alone
    seals     which rows of results.csv are still as they were written
    results   rows that differ in the seed alone are one setting, with its scores by seed
    paths     settings of rising amounts, from logits only to full HSK; one for each way to share an amount out
    figures/  each figure as plain numbers (chart, charts/), on paper (matplotlib_figure) and on a page (plotly_figure)
    report/   tables of settings and of the minimum knowledge, as plain rows; findings; one page (its HTML: markup)
    claims/   the numbers of a page, computed again from the rows that each of them names
    verify/   a few settings of a committed study, run again and held against its rows
    stats/    scores by seed and example -> numbers, intervals and verdicts
        scores             by seed, with each dev example's part (contributions) where it is known
        contrast           a weighted sum of settings, for new seeds and for new sentences; moderation: another variance
        comparison         different? as good? which tiers? power: what would decide
        marginal_utility   of a curve: gain per added scalar, and whether it diminishes
        minimum            how little hidden-state knowledge is enough
        intervals          mean, spread and interval of a setting
        saturation         how fast the score approaches its plateau
        collapse           seeds that failed to learn
        defaults           margin, level and alpha where nobody says otherwise

    full, logits = {1: 0.90, 2: 0.92, 3: 0.91}, {1: 0.84, 2: 0.87, 3: 0.85}
    difference(full, logits).seeds.low             # 0.0255: full HSK is worth at least two points and a half
    marginal_utility({0: logits, 6528: full})      # so many points per scalar and example

A score is a number where more is better, on the scale where 0.01 is one point. A seed names what two runs share beside
the setting, the order of the data above all. It was measured to make their scores no more alike: nothing is paired by
it.

The statistics know no files and no models. What the data cannot say is said in the result, as nan, None or a
verdict, so that a report of a half-finished sweep is a report; what the caller mistyped is a ConfigError.
`dataclasses.asdict` makes any result a row of a table.
"""
