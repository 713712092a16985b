"""Products of matrices and, in general, sums of products.

Each is linear in every operand, so each operand's rule is again such a product.
Raises TypeError for what is no array of numbers, DeviceError for arrays of two devices.
"""
from math import prod

from minidl import backend, kernels
from minidl.operands import broadcast_shape, integer, normalize_axis, operand, same_device
from minidl.ops.reduction import sum
from minidl.ops.shape import broadcast_to, expand_dims, moveaxis, reshape
from minidl.tensor import record


def matmul(a, b):
    """Matrix product  y = a b  of (…, m, k) and (…, k, n), (…, m, n); leading axes broadcast.

    A vector counts as a row on the left, as a column on the right.
    dL = ⟨ȳ, da b + a db⟩ = ⟨ȳ bᵀ, da⟩ + ⟨aᵀ ȳ, db⟩        so   ā = ȳ bᵀ,   b̄ = aᵀ ȳ
    Raises ValueError for a single number, where the k differ, or the leading axes do not broadcast.

    >>> matmul([[1.0, 2.0], [3.0, 4.0]], [1.0, 1.0])
    tensor([3., 7.], float64)
    """
    a, b = operand("matmul", a, "a"), operand("matmul", b, "b")
    if type(a.data) is not type(b.data):
        same_device("matmul", a=a, b=b)
    left, right = a.data.shape, b.data.shape
    if not left or not right:
        raise ValueError(f"matmul: operands need at least one axis, got shapes {left} and {right}")
    columns, rows = left[-1], right[-2:][0]
    if columns != rows:
        raise ValueError(f"matmul: a of shape {left} has {columns} columns, b of shape {right} "
                         f"has {rows} rows; they must be equal")
    if len(left) < 2 or len(right) < 2:
        return _of_vectors(a, b)
    if len(left) > 2 or len(right) > 2:
        broadcast_shape("matmul", left[:-2], right[:-2],
                        ("leading axes of a", "leading axes of b"))
    return record(kernels.matmul(a.data, b.data),
                  (a, lambda gy: matmul(gy, _transposed(b))),
                  (b, lambda gy: matmul(_transposed(a), gy)))


def _of_vectors(a, b):
    """matmul where a or b is a vector: (k,) as (1, k) or (k, 1), an axis that y does not have."""
    if a.ndim == 1:
        return matmul(expand_dims(a, 0), b).squeeze(-2 if b.ndim > 1 else 0)
    return matmul(a, expand_dims(b, 1)).squeeze(-1)


def _transposed(x):
    """The last two axes exchanged.        x̄ = ȳ with the same two exchanged"""
    return record(x.data.swapaxes(-1, -2), (x, lambda gy: _transposed(gy)))


def dot(a, b):
    """NumPy's dot: Σ over the last axis of a and the last but one of b (a vector's only one).

    (…, k) and (…, k, n) → (… of a, … of b, n); single numbers multiply.
    For at most two axes it is matmul.  By composition, so ā and b̄ are matmul's.
    Raises ValueError where the k differ.

    >>> dot([1.0, 2.0], [3.0, 4.0])
    tensor(11., float64)
    """
    a, b = operand("dot", a, "a"), operand("dot", b, "b")
    same_device("dot", a=a, b=b)
    if a.ndim == 0 or b.ndim == 0:
        return a * b
    rows = moveaxis(b, -2, 0) if b.ndim > 2 else b                  # (k, …)
    if a.shape[-1] != rows.shape[0]:
        raise ValueError(f"dot: the last axis of a {a.shape} must be as long as the last but one "
                         f"of b {b.shape} (a vector's only one)")
    if b.ndim <= 2:
        return matmul(a, b)
    columns = reshape(rows, (rows.shape[0], prod(rows.shape[1:])))  # (k, …)
    return reshape(matmul(a, columns), a.shape[:-1] + rows.shape[1:])


def gram(x):
    """Gram matrix  y = xᵀ x  of (…, m, n): the inner products of the columns, (…, n, n).

    dL = ⟨ȳ, dxᵀ x + xᵀ dx⟩ = ⟨x ȳᵀ + x ȳ, dx⟩        so   x̄ = x (ȳ + ȳᵀ)
    Raises ValueError for fewer than two axes.

    >>> gram([[1.0, 2.0], [3.0, 4.0]])
    tensor([[10., 14.],
            [14., 20.]], float64)
    """
    x = operand("gram", x)
    if x.ndim < 2:
        raise ValueError(f"gram: needs at least two axes, got shape {x.shape}")
    return record(kernels.matmul(x.data.swapaxes(-1, -2), x.data),
                  (x, lambda gy: matmul(x, _with_transpose(gy))))


def _with_transpose(x):
    """y = x + xᵀ, its own adjoint.        x̄ = ȳ + ȳᵀ"""
    return record(kernels.add_transpose(x.data), (x, lambda gy: _with_transpose(gy)))


def outer(a, b):
    """Outer product  yᵢⱼ = aᵢ bⱼ  of two vectors, (m,) and (n,): (m, n).

    dL = Σ ȳᵢⱼ (daᵢ bⱼ + aᵢ dbⱼ)        so   ā = ȳ b,   b̄ = ȳᵀ a,   by composition
    Raises ValueError for what is no vector.

    >>> outer([1.0, 2.0], [3.0, 4.0])
    tensor([[3., 4.],
            [6., 8.]], float64)
    """
    a, b = operand("outer", a, "a"), operand("outer", b, "b")
    if a.ndim != 1 or b.ndim != 1:
        raise ValueError(f"outer: needs two vectors, got shapes {a.shape} and {b.shape}")
    same_device("outer", a=a, b=b)
    return expand_dims(a, 1) * b                                    # (m, 1) · (n,) → (m, n)


def diagonal(x, offset=0, axis1=0, axis2=1):
    """Entries with equal index on two axes (`offset` apart): (…, m, n) → (…, length).

    x̄ = zeros with ȳ put back on the diagonal.  Raises ValueError for fewer than two axes.

    >>> diagonal([[1, 2], [3, 4]])
    tensor([1, 4], int64)
    """
    x = operand("diagonal", x)
    offset = max(-x.size, min(integer("diagonal", "offset", offset), x.size))   # nothing is beyond
    first, second = _two_axes("diagonal", x, axis1, axis2)
    rows = moveaxis(x, (first, second), (-2, -1))                   # (…, m, n)
    m, n = rows.shape[-2:]
    length = max(0, min(m, n - offset) if offset >= 0 else min(m + offset, n))
    xp = backend.of(x.data)
    steps = xp.arange(length)
    return rows[..., steps + max(0, -offset), steps + max(0, offset)]


def trace(x, offset=0, axis1=0, axis2=1):
    """Sum of the diagonal over two axes: (…, m, n) → (…).

    dL = ȳ Σ dxᵢᵢ        so   x̄ = ȳ times the identity,   by composition
    Raises ValueError for fewer than two axes.

    >>> trace([[1, 2], [3, 4]])
    tensor(5, int64)
    """
    x = operand("trace", x)
    offset = integer("trace", "offset", offset)
    _two_axes("trace", x, axis1, axis2)
    return sum(diagonal(x, offset, axis1, axis2), -1)


def _two_axes(operation, x, first, second):
    if x.ndim < 2:
        raise ValueError(f"{operation}: needs at least two axes, got shape {x.shape}")
    first, second = (normalize_axis(operation, axis, x.ndim) for axis in (first, second))
    if first == second:
        raise ValueError(f"{operation}: axis1 and axis2 must differ, both are {first}")
    return first, second


def einsum(subscripts, *operands):
    """Sum of products in Einstein's notation, as numpy.einsum: einsum("nik,nkj->nij", a, b).

    y[out] = Σ a[s₁] b[s₂] …  over the letters that are not in `out`.
    A letter that stands in s₁ only is summed over first, in a by itself.  What is left is linear in
    each operand, so
    ā = Σ ȳ[out] b[s₂] …  over the letters that are not in s₁; where a letter of s₁ has length 1 in
    all others, ā repeats along it.
    Raises ValueError where the letters do not fit the shapes, TypeError for subscripts that are no
    string.

    >>> einsum("ij,j->i", [[1.0, 2.0], [3.0, 4.0]], [1.0, 1.0])
    tensor([3., 7.], float64)
    """
    if not isinstance(subscripts, str):
        raise TypeError("einsum: subscripts must be a string such as \"ij,jk->ik\", "
                        f"got {type(subscripts).__name__}")
    operands = [operand("einsum", x, f"operand {i}") for i, x in enumerate(operands)]
    inputs, output = _subscripts(subscripts, operands)
    same_device("einsum", **{f"operand {i}": x for i, x in enumerate(operands)})
    for i, letters in enumerate(inputs):
        operands[i], inputs[i] = _distinct_letters(operands[i], letters)
    lengths = _lengths(subscripts, inputs, operands)
    if any(letter not in lengths for letter in output):
        raise ValueError(f"einsum: {subscripts!r} asks for a letter in the result that no operand "
                         "has")
    for i, letters in enumerate(inputs):
        elsewhere = "".join([output] + inputs[:i] + inputs[i + 1:])
        only_here = tuple(k for k, letter in enumerate(letters) if letter not in elsewhere)
        operands[i] = sum(operands[i], only_here) if only_here else operands[i]
        inputs[i] = "".join(letter for letter in letters if letter in elsewhere)

    def rule(i):
        def cotangent(gy):
            others = [operands[j] for j in range(len(operands)) if j != i]
            spelled = [output] + [inputs[j] for j in range(len(operands)) if j != i]
            gx = einsum(",".join(spelled) + "->" + inputs[i], gy, *others)
            lengths = [n if m == 1 else m for m, n in zip(gx.shape, operands[i].shape)]
            return gx if gx.shape == tuple(lengths) else broadcast_to(gx, lengths)
        return cotangent

    value = kernels.einsum(",".join(inputs) + "->" + output, *(x.data for x in operands))
    return record(value, *((x, rule(i)) for i, x in enumerate(operands)))


def _subscripts(subscripts, operands):
    """(letters of each operand, letters of the result), with letters for the ellipsis, and an
    implied result written out."""
    left, arrow, output = subscripts.replace(" ", "").partition("->")
    inputs = left.split(",")
    if len(inputs) != len(operands) or not operands:
        raise ValueError(f"einsum: {subscripts!r} describes {len(inputs)} operands, "
                         f"got {len(operands)}")
    spare = [c for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if c not in subscripts]
    extra = max(x.ndim - len(s.replace("...", "")) if "..." in s else 0
                for x, s in zip(operands, inputs))
    for i, (x, letters) in enumerate(zip(operands, inputs)):
        if "..." in letters:
            n = x.ndim - len(letters.replace("...", ""))        # all ellipses end with one letter
            letters = letters.replace("...", "".join(spare[extra - n:extra]))
        if len(letters) != x.ndim or not all(c.isascii() and c.isalpha() for c in letters):
            raise ValueError(f"einsum: operand {i} is {inputs[i]!r} in {subscripts!r}, its shape "
                             f"is {x.shape}")
        inputs[i] = letters
    if not arrow:
        joined = "".join(inputs)
        lead = "".join(spare[:extra])
        single = sorted(c for c in set(joined) if joined.count(c) == 1 and c not in lead)
        output = lead + "".join(single)
    output = output.replace("...", "".join(spare[:extra]))
    if len(set(output)) < len(output):
        raise ValueError(f"einsum: {subscripts!r} names a letter twice in the result")
    return inputs, output


def _distinct_letters(x, letters):
    """x with every letter that it repeats ("ii") replaced by its diagonal."""
    for letter in letters:
        while letters.count(letter) > 1:
            first = letters.index(letter)
            second = letters.index(letter, first + 1)
            if x.shape[first] != x.shape[second]:
                raise ValueError(f"einsum: letter {letter!r} stands for lengths {x.shape[first]} "
                                 f"and {x.shape[second]}")
            x = diagonal(x, 0, first, second)
            others = [c for i, c in enumerate(letters) if i not in (first, second)]
            letters = "".join(others) + letter
    return x, letters


def _lengths(subscripts, inputs, operands):
    """{letter: its length}; 1 broadcasts.  Raises ValueError where a letter has two others."""
    lengths = {}
    for letters, x in zip(inputs, operands):
        for letter, n in zip(letters, x.shape):
            if lengths.get(letter, n) not in (n, 1) and n != 1:
                raise ValueError(f"einsum: letter {letter!r} of {subscripts!r} stands for lengths "
                                 f"{lengths[letter]} and {n}")
            lengths[letter] = n if lengths.get(letter, 1) == 1 else lengths[letter]
    return lengths
