"""Threads for the kernels, and memory used again."""
