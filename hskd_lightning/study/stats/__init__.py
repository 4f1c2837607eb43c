"""What scores by seed can say: intervals, comparisons, the marginal utility of knowledge, how little is enough."""
