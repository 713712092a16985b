"""Detection: what convolutional detectors say about their anchor boxes becomes boxes and scores.

A detector looks once.  Each cell of its last feature maps has a few anchor boxes, of the sizes and
shapes that faces have.  For each of them it says how likely it holds a face (the lecture's p_c) and
how the face's box (b_x, b_y, b_w, b_h) differs from it, as numbers t.
Boxes here are x₀, y₀, x₁, y₁ in 0..1 of the square that the network saw.
Sources: Redmon and Farhadi 2017 (YOLO9000), Liu et al. 2016 (SSD), Huang et al. 2017 (SSD with
MobileNet).
"""
import numpy as np

from minidl.settings import numbers

# Width and height of the tiny detector's anchors, in cells: five clusters of the faces it learned
GRID_ANCHORS = np.array([(1.603231, 2.094468), (6.041143, 7.080126), (2.882459, 3.518061),
                         (4.266906, 5.178857), (9.041765, 10.66308)])
# The SSD's feature maps: cells a side, and the scale s_k of their anchors, see `map_anchors`
MAP_SIDES = 32, 16, 8, 4, 2, 1
MAP_SCALES = 0.2, 0.35, 0.5, 0.65, 0.8, 0.95, 1.0
FACTORS = 10, 5             # by which the SSD's codes for places and for sizes were multiplied


def decode_grid(raw, anchors=GRID_ANCHORS):
    """(boxes (n·n·A, 4), scores (n·n·A,)) from what the tiny detector says, raw (n, n, A·5).

    For the cell in row r, column c, and an anchor of p_w × p_h cells, A of them in each cell, it
    says t_x, t_y, t_w, t_h, t_o:

        p_c = σ(t_o)
        b_x = (c + σ(t_x)) / n,   b_y = (r + σ(t_y)) / n        the centre stays in its cell
        b_w = p_w exp(t_w) / n,   b_h = p_h exp(t_h) / n        for t = 0 the anchor itself

    Boxes come by row, column and anchor.
    """
    raw = numbers("decode_grid", "raw", raw)
    if raw.shape != (*raw.shape[:1] * 2, 5 * len(anchors)):
        raise ValueError(f"decode_grid: raw must be (n, n, {5 * len(anchors)}), "
                         f"got shape {raw.shape}")
    n = len(raw)
    t = raw.reshape(n, n, len(anchors), 5)
    row, column = np.indices((n, n))
    cell = np.stack([column, row], -1)[:, :, None]
    centre = (cell + _sigmoid(t[..., :2])) / n
    size = anchors * np.exp(t[..., 2:4]) / n
    return _corners(centre, size).reshape(-1, 4), _sigmoid(t[..., 4]).ravel()


def map_anchors():
    """The SSD's anchors (5118, 4): centre x, y, and width, height, in 0..1 of the picture.

    The anchors of the cell in row r, column c of n × n have their centre at
    ((c + ½) / n, (r + ½) / n).  One of scale s and ratio ρ = width / height has the area s²:

        width s √ρ,   height s / √ρ

    Map k has the scale s_k.  On map 0, of the smallest cells, (s, ρ) are
    (0.1, 1), (s₀, 2), (s₀, ½); on the others
    (s_k, 1), (√(s_k s_{k+1}), 1), (s_k, 2), (s_k, ½), (s_k, 3), (s_k, ⅓).
    Anchors come by map, row, column, and in this order.  There are
    3·32² + 6·(16² + 8² + 4² + 2² + 1).
    """
    maps = []
    for k, n in enumerate(MAP_SIDES):
        s, between = MAP_SCALES[k], np.sqrt(MAP_SCALES[k] * MAP_SCALES[k + 1])
        kinds = [(0.1, 1), (s, 2), (s, 1 / 2)]
        if k:
            kinds = [(s, 1), (between, 1), (s, 2), (s, 1 / 2), (s, 3), (s, 0.3333)]  # as trained
        scales, ratios = np.array(kinds).T
        sizes = np.stack([scales * np.sqrt(ratios), scales / np.sqrt(ratios)], -1)
        row, column = np.indices((n, n))
        centres = (np.stack([column, row], -1) + 0.5) / n
        both = np.broadcast_arrays(centres[:, :, None], sizes)
        maps.append(np.concatenate(both, -1).reshape(-1, 4))
    return np.concatenate(maps)


def decode_maps(codes, logits, anchors):
    """(boxes (P, 4), scores (P,)) from what the SSD says about its anchors (P, 4), `map_anchors`.

    codes (P, 4): t_y, t_x, t_h, t_w.  logits (P, 3): of background, face, and a class without use.

        p_c = σ(logit of face)
        b_x = a_x + a_w t_x / 10,   b_w = a_w exp(t_w / 5),     and so y and h

    The centre moves by shares of the anchor's size.  The factors made all codes alike large in
    training.  Boxes are cut at the square's border.
    """
    codes, logits, anchors = (numbers("decode_maps", name, values) for name, values in
                              (("codes", codes), ("logits", logits), ("anchors", anchors)))
    if codes.shape != anchors.shape or logits.shape != (len(anchors), 3):
        raise ValueError(f"decode_maps: {len(anchors)} anchors need codes {anchors.shape} and "
                         f"logits {(len(anchors), 3)}, got {codes.shape} and {logits.shape}")
    place, size = codes[:, [1, 0]] / FACTORS[0], codes[:, [3, 2]] / FACTORS[1]
    boxes = _corners(anchors[:, :2] + anchors[:, 2:] * place, anchors[:, 2:] * np.exp(size))
    return boxes.clip(0, 1), _sigmoid(logits[:, 1])


def _corners(centre, size):
    """x₀, y₀, x₁, y₁ of boxes of a centre and a size."""
    return np.concatenate([centre - size / 2, centre + size / 2], -1)


def _sigmoid(x):
    """σ(x) = ½ (1 + tanh(x/2)), which overflows nowhere"""
    return (1 + np.tanh(x / 2)) / 2
