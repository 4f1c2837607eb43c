"""From a plan of figures to finished cells, and from their results to one table."""
