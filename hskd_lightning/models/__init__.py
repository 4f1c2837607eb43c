"""Hugging Face encoders: how they are run, what shapes students have, where first weights come from, attention."""
