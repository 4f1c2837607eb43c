"""What trains a teacher and a student alike: module, optimiser, a resumable stage with its metrics.csv, scoring."""
