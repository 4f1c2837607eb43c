"""The command line of knowledge stores."""
