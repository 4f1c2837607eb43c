"""What the cells of a study share, each made once and found again by what it was made from."""
