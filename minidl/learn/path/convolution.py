"""Convolution: as a sum, as a matrix, as a trilinear form."""
from minidl.kernels.geometry import Geometry
from minidl.learn.domains import normal
from minidl.learn.path.chapter import Chapter, derive, fault, program, write
from minidl.learn.source import Body, Loop
from minidl.learn.trials import Trial

#                          sizes   kernel  stride  padding dilation groups      words
GEOMETRIES = [(Geometry((5,), (3,), (1,), (0,), (1,), 1), "in 1-D"),
              (Geometry((6,), (3,), (2,), (1,), (1,), 1), "with stride 2 and padding 1"),
              (Geometry((7,), (3,), (1,), (0,), (2,), 1), "with dilation 2"),
              (Geometry((5, 4), (3, 2), (2, 1), (1, 0), (1, 1), 2), "in 2-D with two groups"),
              (Geometry((3, 4, 3), (2, 2, 1), (1, 2, 1), (0, 1, 0), (1, 1, 1), 1), "in 3-D")]


def shapes(g):
    """Of x, w and u for 4 channels and 6 filters."""
    return (2, *g.sizes, 4), (*g.kernel, 4 // g.groups, 6), (2, *g.output, 6)


def on_arrays(call, *which):
    """A trial for each geometry of call(module, *arrays, g), the arrays named by x, w, u."""
    for g, words in GEOMETRIES:
        drawn = [normal(*shapes(g)["xwu".index(name)]) for name in which]
        if len(which) == 1:
            yield Trial(lambda m, x, _g=g: call(m, x, _g), tuple(drawn), words, arrays=True)
        else:
            yield Trial(lambda m, first, second, _g=g: call(m, first, second, _g), tuple(drawn),
                        words, arrays=True)


def of_sizes(call, *arguments):
    return [Trial(lambda m, _a=a: call(m, *_a), words=f"for {a}") for a in arguments]



CONV, CONV_INPUT, CONV_WEIGHT = (f"ops.convolution:{name}"
                                 for name in ("conv", "conv_input", "conv_weight"))
TAPS = ("What a tap k of the filter sees of the padded x, at all places, is wide[seen(k, g)], "
        "(N, *P, C): what is left of the sum is a product with the matrix w[k], (C, O).")
GROUPS = "_by_group cuts channels into matrices, one for each group; _joined puts the products " \
         "together again."

CONVOLUTION = Chapter("5. Convolution: a sum, a matrix, a trilinear form", (
    program("output-size", "kernels.geometry:output_size", Body(),
            *of_sizes(lambda m, *a: m.output_size(*a), (5, 3, 1, 0), (7, 3, 2, 1), (8, 3, 3, 0),
                      (9, 3, 2, 0, 3), (2, 3, 1, 0), (5, 3, 1, 2)),
            hints="The last tap sits dilation·(window − 1) behind the first: how far can the first "
                  "go, in steps of the stride?"),
    program("same-padding", "kernels.geometry:same_padding", Body(),
            *of_sizes(lambda m, *a: m.same_padding(*a), (5, 3, 1), (6, 3, 2), (7, 3, 2), (5, 2, 1),
                      (9, 3, 2, 2), (4, 1, 3)),
            hints="How far would the window reach in ceil(n / stride) places?  What of that lies "
                  "beyond n is missing."),
    program("conv-plain", "kernels.plain:conv", Body(),
            *on_arrays(lambda m, x, w, g: m.conv(x, w, None, g), *"xw"),
            Trial(lambda m, x, w, b: m.conv(x, w, b, GEOMETRIES[0][0]),
                  (normal(2, 5, 4), normal(3, 4, 6), normal(6)), "with a bias", arrays=True),
            note=TAPS, hints=("padded(x, g) is the padded x; start from zeros and add a product "
                              "for each k of np.ndindex(*g.kernel).", GROUPS)),
    program("im2col", "kernels.plain:_taps", Body(), *on_arrays(
        lambda m, x, g: m._taps(m.padded(x, g), g), "x"),
            note="Gathered so, all taps meet the filter in one product of matrices.",
            hints="np.ndindex(*g.kernel) gives the taps; seen(k, g) the slices that one sees."),
    program("conv-input-plain", "kernels.plain:conv_input", Loop(),
            *on_arrays(lambda m, u, w, g: m.conv_input(u, w, g), *"uw"), note=TAPS, hints=GROUPS),
    program("conv-weight-plain", "kernels.plain:conv_weight", Loop(),
            *on_arrays(lambda m, x, u, g: m.conv_weight(x, u, g), *"xu"), note=TAPS, hints=GROUPS),
    write("conv-x", "ops.convolution:_with_rules", "x", cases=("conv",), also=CONV),
    derive("conv-w", "ops.convolution:_with_rules", "w", cases=("conv",), also=CONV),
    program("conv-bias", "ops.convolution:_sum_of_places", Body(),
            Trial(lambda m, u: m._sum_of_places(u), (normal(2, 3, 2),)),
            Trial(lambda m, u: m._sum_of_places(u), (normal(2, 3, 2, 4),), "in 2-D"), also=CONV,
            hints="b (O,) is added at every place (n, p): its cotangent is u summed over them."),
    fault("mirrored", "filter_not_mirrored"),
    fault("stride", "stride_dropped"),
    derive("conv-input-u", "ops.convolution:_conv_input", "u", cases=("conv_input",
           "conv_transpose"), also=CONV_INPUT),
    derive("conv-input-w", "ops.convolution:_conv_input", "w", cases=("conv_input",
           "conv_transpose"), also=CONV_INPUT),
    derive("conv-weight-x", "ops.convolution:_rules_of_weight", "x", cases=("conv_weight",),
           also=CONV_WEIGHT),
    derive("conv-weight-u", "ops.convolution:_rules_of_weight", "u", cases=("conv_weight",),
           also=CONV_WEIGHT),
    fault("bias-once", "bias_counted_once"),
    fault("groups", "groups_dropped"),
))
