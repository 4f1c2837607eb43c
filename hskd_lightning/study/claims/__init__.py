"""A page whose numbers stand on rows: every claim says where it comes from, and is computed again.

::

    page          blocks of a Markdown page, the numbers in them, and what they are said to come from
    recomputed    the same numbers from results.csv, examples.parquet and answer.json
    check         the one beside the other

A claim is a comment in the paragraph, list item or table row that it vouches for::

    - A tenth of it scores 0.784 ± 0.020 (n=3).
      <!-- claim: results=toy student=tiny setting="10% of HSK" mean=0.784 sd=0.020 n=3 -->
    - It loses 1.1 points (-17.2 to 14.9) beside all of it: undecided.
      <!-- claim: results=toy student=tiny setting="10% of HSK" vs="full HSK" reading=seeds
      difference=-1.1 low=-17.2 high=14.9 verdict=undecided -->
    - Its teacher read 4,200 sentences. <!-- given: 4,200 of conf/data/toy.yaml -->

First come the words that select, then those that are checked, with as many digits as the text has:

results     a folder beside the page (toy, sst2/bits); `figure` (marginal_utility), `task`, `student`, `student_init`,
            `teacher`, `preset`: which of its settings, as far as it takes to name one
setting     a setting by its name in the tables (full HSK, logits only, 10% of HSK), and then
            mean sd low high (scores, 95%), n, scalars, bytes, share (of full HSK), or any column of results.csv
setting vs  two of them; reading=seeds (these sentences) or sentences (new ones; the default where they are known),
            margin in points (1), level (0.95), and then
            difference low high (points) n verdict (against the margin), fewer_bytes fewer_scalars (so many times)
path        a curve by its name in the figure marginal_utility, most often the student's; reading, margin, and then
            diminishing, height height_without slopes (points) with _low and _high, serving (scalars, or none),
            serving_verdict, keeps_from keeps_to (scalars that bracket 90% of the gain, or `no end`)
answer.*    a field of answer.json, by its place: answer.verdict, answer.full.bytes, answer.cost.cells

Under a `##` heading every number of a block stands in a claim of that block, or in a `given`, which is for numbers that
are no result, such as a recipe's; every number of a claim stands in its block, a count also as a word (three seeds);
and a list item or a row of a table has a claim or a `given`. `python -m hskd_lightning.study claims results/README.md`
says what is wrong, and of each claim all that could be said.
"""
