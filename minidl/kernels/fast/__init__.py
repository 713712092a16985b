"""What computes sooner what the files above define; README.md says what each piece gains."""
