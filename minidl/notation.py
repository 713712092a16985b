"""The notation of the derivations in minidl, on one page.  Read it with `tensor.py`.

    L           the one number that is differentiated: a loss
    dx          a small change of x (its differential): dL is what it changes L by, to first order
    x̄           "x bar", the cotangent of x: the gradient of L with respect to x, of x's shape,
                defined by   dL = ⟨x̄, dx⟩   for every dx; in code gx, and ȳ is gy
    ⟨a, b⟩      the inner product of two arrays of one shape:  Σ aᵢ bᵢ over all entries
    a ⊙ b       the elementwise product, a * b in code; sums and quotients are elementwise, too
    a b         the matrix product, a @ b in code (of a number and an array: times each entry);
                aᵀ: a transposed
    ‖a‖         the Euclidean norm, √⟨a, a⟩
    Σ_k, Π_k    sum and product over all k
    (N, *S, C)  a shape: N examples, spatial axes S (one, two or three), C channels
    so          "hence": to its left stands dy or dL, to its right the rule

**The one step.**  Every derivation writes dL = ⟨ȳ, dy⟩, puts in what dy is, and brings dx to stand
by itself.  What stands beside it is x̄, as dL = ⟨x̄, dx⟩ for every dx.  For the product y = a ⊙ b:

    dL = ⟨ȳ, dy⟩ = ⟨ȳ, da ⊙ b + a ⊙ db⟩ = ⟨ȳ ⊙ b, da⟩ + ⟨ȳ ⊙ a, db⟩    so   ā = ȳ ⊙ b,   b̄ = ȳ ⊙ a

The last step moved b from one side of the inner product to the other: ⟨ȳ, da ⊙ b⟩ = ⟨ȳ ⊙ b, da⟩,
because both are Σ ȳᵢ bᵢ daᵢ.

**Adjoint.**  A linear map A has an adjoint (or transpose) Aᵀ, the map with

    ⟨A x, u⟩ = ⟨x, Aᵀ u⟩        for all x and u

So for a linear y = A x the step reads  dL = ⟨ȳ, A dx⟩ = ⟨Aᵀ ȳ, dx⟩, and the rule is x̄ = Aᵀ ȳ.  Sum
and broadcast, reading at positions and adding at positions, convolution and transposed convolution
are each other's adjoint.  Of any y = f(x), dy is linear in dx: dy = J dx with the Jacobian J.  So
x̄ = Jᵀ ȳ, and a rule computes this vector-Jacobian product without forming J.

In numbers, where A adds up the rows of x, and Aᵀ repeats u as every row:

>>> import numpy as np
>>> x, u = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([10.0, 100.0])
>>> float(np.sum(x.sum(0) * u)), float(np.sum(x * np.broadcast_to(u, x.shape)))
(640.0, 640.0)

**The field's words.**  Backpropagation, or reverse-mode differentiation: walking from L back, and
turning the cotangent of each result into those of its inputs by the rules; that is the chain rule.
Topological order: an order in which each array comes after all those that it was computed from.
im2col and col2im: the copy of all windows of a picture into a matrix, and its adjoint.

**By composition** is written where no rule of its own is needed: the operation is made of others,
and `grad` goes through theirs.
"""
