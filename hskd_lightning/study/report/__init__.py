"""report.html: one page with all figures, tables and findings of a study."""
