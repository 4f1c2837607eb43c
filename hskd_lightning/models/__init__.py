"""Hugging Face encoders: how they are run, where their first weights come from, what they attend to."""
