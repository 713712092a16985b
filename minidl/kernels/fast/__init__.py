"""Faster versions of what plain.py defines; README.md says what each piece gains."""
