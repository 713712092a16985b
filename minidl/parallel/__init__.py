"""Threads for the kernels, and memory used again; `distributed`, several processes."""
