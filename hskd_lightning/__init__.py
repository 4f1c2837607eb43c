"""How little of a teacher's knowledge does a student need? See hsk.py for the legend, pipeline.py for a run."""
