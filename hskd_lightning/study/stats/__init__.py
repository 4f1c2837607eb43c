"""What scores by seed and example can say, of these sentences and of new ones. `contrast` is the engine of every claim.

scores, contributions        what is known: a score by seed, and each dev example's part in it
contrast, moderation         a weighted sum of settings, and how sure it is by either reading
comparison, power            different, as good as; and what would decide it
marginal_utility, minimum    what a scalar is worth, and how little is enough
intervals, saturation        the mean of one setting; a curve as three numbers
collapse                     seeds that failed to learn
"""
