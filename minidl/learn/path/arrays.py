"""Arrays and broadcasting: linear operations and their adjoints."""
from minidl.learn.path.chapter import Chapter, derive, fault, write
from minidl.learn.source import Body

ARRAYS = Chapter("3. Arrays and broadcasting", (
    write("sum", "ops.reduction:sum", "x"),
    derive("broadcast-to", "ops.shape:broadcast_to", "x"),
    derive("sum-to", "ops.reduction:sum_to", "x"),
    derive("mean", "ops.reduction:mean", "x"),
    fault("broadcast-axis", "broadcast_axis_mistaken"),
    write("reshape", "ops.shape:reshape", "x"),
    write("transpose", "ops.shape:transpose", "x"),
    fault("permutation", "permutation_not_inverted"),
    derive("concatenate", "ops.shape:concatenate", hole=Body(of="reading")),
    write("pad", "ops.shape:_pad_constant", "x", cases=("pad",), also="ops.shape:pad"),
    derive("cumsum", "ops.reduction:cumsum", "x"),
    fault("other-axis", "sum_spread_along_the_other_axis"),
    derive("index", "ops.indexing:_index", "x", cases=("index", "take"), also="ops.indexing:index"),
    write("scatter", "ops.indexing:_scatter", "u", cases=("scatter", "add_at"),
          also="ops.indexing:scatter"),
    fault("gather", "gather_assigns_instead_of_adding"),
    write("where", "ops.elementwise:where", "a"),
    fault("only-equal-shapes", "right_only_for_equal_shapes"),
))
