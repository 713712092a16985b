"""minidl against PyTorch, MyGrad, DeZero, SmallPebble and autograd, on the same work:  python -m
tests.benchmarks

How it is measured
- All libraries get the same numbers (float32), the same number of threads (`--threads`), and
  compute the same: the first result of each is compared with minidl's, and a case in which they
  differ by more than a thousandth is an error.
- The libraries take turns in one process, A B A B …, so that a slow minute of the machine is
  everybody's.  A sample is as many calls as take 0.1 s, at least one, after as many that do not
  count: some libraries use one core, and the others would find the second one asleep.  Tables show
  medians and quartiles; `--json` keeps every sample.
- PyTorch runs eagerly, with its fused optimisers, in its default memory layout and in
channels-last; the better one counts.
- A plain product of two 1024 × 1024 float32 matrices by np.matmul takes its turn too.  "of matmul"
  is minidl's rate in a case divided by that one's, the median of all cases; a rate is
  multiplications and additions in convolutions and matrix products (as PyTorch counts them), by
  time.  Winograd's algorithm needs fewer than are counted, so it can pass 100 %.
- Filters in the convolution cases and in style transfer stay the same from call to call, as in a
  frozen network: minidl transforms them once.  In the training cases they change with every step.
- Peak memory: each library in a process of its own, the most that was resident during three steps;
  in parentheses, what of it was not there after the imports.  minidl keeps transformed filters of
  frozen networks (4 to 8 times the filters' size).
"""
