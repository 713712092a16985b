"""What an encoder does, as pictures.  Every function writes one PNG and returns its path.

Colours: blue is one person (same), orange is two (different).
"""
import numpy as np

from minidl.data.people import composed
from minidl.faces.encoding import prepare
from minidl.faces.evaluation import auc, check_pairs, equal_error_rate, roc
from minidl.operands import check_sizes
from minidl.plots import COLOURS, DASHES, panels_of, write
from minidl.settings import bounded, having, labels_of, numbers

SAME, DIFFERENT = "#2266aa", "#dd7711"
RIGHT, WRONG = "#117733", "#bb2222"


def roc_curve(path, results, title="Verification: ROC"):
    """ROC curves of {name: (distances, same)}: on the left all of it, on the right small false
    accept rates (a logarithmic axis); the legend gives AUC and EER."""
    _check_results("roc_curve", results)
    figure, (whole, small) = panels_of(1, 2, (11.5, 5.2))
    least = min(1 / np.sum(~check_pairs("roc_curve", *pairs)[1]) for pairs in results.values())
    for i, (name, pairs) in enumerate(results.items()):
        curve, rate = roc(*pairs), equal_error_rate(*pairs)[0]
        style = {"color": COLOURS[i % len(COLOURS)],
                 "linestyle": DASHES[i // len(COLOURS) % len(DASHES)], "linewidth": 2}
        label = f"{name}: AUC {auc(*pairs):.4f}, EER {rate:.2%}"
        whole.plot(curve.false_accept_rates, curve.true_accept_rates, label=label, **style)
        small.step(curve.false_accept_rates, curve.true_accept_rates, where="post", **style)
        whole.plot(rate, 1 - rate, "o", color="white", markeredgecolor=style["color"],
                   markeredgewidth=1.8, zorder=5)
    whole.plot([0, 1], [0, 1], color="0.75", linewidth=1, zorder=0)
    whole.plot([0, 1], [1, 0], color="0.75", linewidth=1, linestyle=":", zorder=0)
    whole.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal",
              title=f"{title}\n(circles: equal error rates)")
    small.set(xscale="log", xlim=(least, 1), ylim=(-0.01, 1.01),
              title="the same, small false accept rates\n"
              f"(the fewest that these pairs show: {least:.2g})")
    for axes in (whole, small):
        axes.set(xlabel="false accept rate: two people taken for one",
                 ylabel="true accept rate: one person recognized")
    whole.legend(loc="lower right", fontsize=9)
    return write(path, figure)


def distance_histograms(path, distances, same, threshold, title="Distances of pairs"):
    """Two histograms, of the distances between pictures of one person and of two, with τ drawn in
    and what it costs."""
    distances, same = check_pairs("distance_histograms", distances, same)
    threshold = bounded("distance_histograms", "-inf < threshold < inf", threshold)
    figure, (axes,) = panels_of(1, 1, (8.5, 5))
    low, high = min(distances.min(), threshold), max(distances.max(), threshold)
    bins = np.linspace(low, high if high > low else low + 1, 51)
    for kind, colour, name in ((same, SAME, "one person"), (~same, DIFFERENT, "two people")):
        axes.hist(distances[kind], bins, weights=np.full(kind.sum(), 1 / kind.sum()), color=colour,
                  alpha=0.55, label=f"{name} ({kind.sum():,} pairs)")
    axes.axvline(threshold, color="black", linewidth=1.5)
    refused, accepted = np.mean(distances[same] > threshold), np.mean(distances[~same] <= threshold)
    top = axes.get_ylim()[1] * 1.2
    axes.set(ylim=(0, top), xlim=(bins[0], bins[-1]), title=title, xlabel="distance d(x, x')",
             ylabel="share of the pairs of its kind")
    axes.annotate(f"τ = {threshold:.3f}", (threshold, 0.97 * top), xytext=(5, 0),
                  textcoords="offset points", va="top", fontweight="bold")
    axes.annotate(f"{accepted:.2%} of different pairs accepted ", (threshold, 0.9 * top),
                  xytext=(-5, 0), textcoords="offset points", va="top", ha="right", color=DIFFERENT)
    axes.annotate(f"{refused:.2%} of same pairs refused", (threshold, 0.9 * top), xytext=(5, 0),
                  textcoords="offset points", va="top", color=SAME)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    return write(path, figure)


def embedding_map(path, encodings, labels, title="Encodings in two dimensions", people=12):
    """A map of encodings (N, D): their first two principal components.  The `people` with the most
    pictures are coloured and named, the others grey."""
    encodings = numbers("embedding_map", "encodings", encodings, "(N, D)", finite=True)
    labels = labels_of("embedding_map", labels)
    if labels.shape != encodings.shape[:1] or len(labels) < 3:
        raise ValueError("embedding_map: encodings (N, D) need labels (N,), N ≥ 3, got "
                         f"{encodings.shape} and {labels.shape}")
    places, shares = principal_components(encodings, 2)
    figure, (axes,) = panels_of(1, 1, (9, 6.2))
    names, counts = np.unique(labels, return_counts=True)
    named = names[np.argsort(-counts, kind="stable")[:people]]
    rest = places[~np.isin(labels, named)]
    axes.plot(*rest.T, ".", color="0.8", markersize=4,
              label=f"{len(names) - len(named):,} others" if len(rest) else None)
    for i, name in enumerate(named):
        axes.plot(*places[labels == name].T, "osD^v"[i // len(COLOURS) % 5],
                  color=COLOURS[i % len(COLOURS)], markersize=6,
                  markeredgecolor="white", markeredgewidth=0.5, label=_short(_spaced(name)))
    low, high = places.min(0), places.max(0)
    sides = (low + high) / 2 + np.array([[-0.55], [0.55]]) * ((high - low).max() or 1)
    # a square: a box that the data shape is shrunk after its labels were given their room
    axes.set(title=title, xlabel=f"first principal component ({shares[0]:.0%} of the variance)",
             ylabel=f"second ({shares[1]:.0%})", aspect="equal", xlim=sides[:, 0],
             ylim=sides[:, 1])
    figure.legend(loc="outside right center", fontsize=9, frameon=False)
    return write(path, figure)


def principal_components(x, k):
    """(projections (N, k), shares (k,) of the variance) of x (N, D) on the k directions of largest
    variance.

    x − mean = U S Vᵀ; the directions are the first k rows of Vᵀ, the projections the first columns
    of U S, the shares S² / Σ S².  A direction's sign is chosen so that its largest entry is
    positive.
    Raises ValueError for numbers that are not finite, or fewer than k directions.
    Source: Pearson 1901 (PCA).
    """
    x = numbers("principal_components", "x", x, "(N, D)", finite=True)
    if not 1 <= k <= min(x.shape):
        raise ValueError(f"principal_components: x {x.shape} has {min(x.shape)} components, asked "
                         f"for {k}")
    u, s, vt = np.linalg.svd(x - x.mean(0), full_matrices=False)
    signs = np.sign(vt[np.arange(k), np.abs(vt[:k]).argmax(1)])
    return u[:, :k] * s[:k] * signs, s[:k] ** 2 / max(np.sum(s ** 2), np.finfo(float).tiny)


def best_and_worst_pairs(path, pictures, distances, same, threshold, count=6):
    """Four rows of pairs as pictures: those of one person and of two that were judged best (surest)
    and worst.

    pictures(i): a function that gives the two pictures of pair i, (H, W) or (H, W, 3) in 0..255;
    only those shown are asked.
    """
    distances, same = check_pairs("best_and_worst_pairs", distances, same, both=False)
    check_sizes("best_and_worst_pairs", count=count)
    order = np.argsort(distances, kind="stable")
    ones, twos = order[same[order]], order[~same[order]]
    rows = {"one person, nearest": ones[:count], "one person, farthest": ones[::-1][:count],
            "two people, nearest": twos[:count], "two people, farthest": twos[::-1][:count]}
    rows = {name: chosen for name, chosen in rows.items() if len(chosen)}
    figure, panels = panels_of(len(rows), count, (2.05 * count + 0.5, 1.35 * len(rows) + 0.5))
    for axes in panels:
        axes.set_axis_off()
    for row, (name, chosen) in enumerate(rows.items()):
        for column, i in enumerate(chosen):
            axes, right = panels[row * count + column], (distances[i] <= threshold) == same[i]
            mark, colour = ("✓", RIGHT) if right else ("✗", WRONG)
            axes.imshow(np.concatenate([_tile(picture) for picture in pictures(int(i))], 1))
            axes.set_title(f"{mark} {distances[i]:.3f}", color=colour, fontsize=11)
        panels[row * count].text(-0.06, 0.5, name.replace(", ", "\n"),
                                 transform=panels[row * count].transAxes, ha="right",
                                 va="center", rotation=90, fontsize=11)
    figure.suptitle(f"Best and worst pairs (distance; ✓ judged rightly at τ = {threshold:.3f})")
    return write(path, figure)


def answers(path, enrolled, identified, verified, title="A gallery"):
    """What a gallery knows and what it said, at one glance; green answers are right, red ones
    wrong.

    enrolled: [(name, picture), …]; identified: [(picture, its true name, Match), …]; verified:
    [(picture, its true name, Verification), …]; pictures (H, W) or (H, W, 3) in 0..255.  A Match of
    None is right where the true name is not enrolled.
    """
    known = {composed(str(name)) for name, _ in enrolled}

    def person(truth):
        name = composed(str(truth))
        return name if name in known else None

    asked = [(picture, "", found.name or "not recognized", found, person(truth) or "a stranger",
              found.name == person(truth)) for picture, truth, found in identified]
    claimed = [(picture, f"“{_short(_spaced(said.claimed), 18)}”",
                "accepted" if said else "refused", said, person(truth) or "a stranger",
                said.accepted == (said.claimed == person(truth)))
               for picture, truth, said in verified]
    columns = max(4, len(enrolled), len(asked), len(claimed))
    inches = [1.8, 2.4, 2.2]  # of each row: a picture of 1.4 and the text below it
    width, height = 1.5 * columns + 0.65, 0.5 + sum(inches)
    figure, panels = panels_of(3, columns, (width, height), layout=None,
                               gridspec_kw={"height_ratios": inches})
    figure.subplots_adjust(0.55 / width, 0, 1 - 0.1 / width, 1 - 0.5 / height, 0.09, 0)
    for axes in panels:
        axes.set_axis_off()
        axes.set_anchor("N")
    rows = [panels[row * columns:(row + 1) * columns] for row in range(3)]
    for axes, (name, picture) in zip(rows[0], enrolled):
        axes.imshow(_tile(picture))
        axes.text(0.5, -0.07, _short(_spaced(name), 16), transform=axes.transAxes, ha="center",
                  va="top", fontsize=10, fontweight="bold")
    for row, answered in (rows[1], asked), (rows[2], claimed):
        for axes, answer in zip(row, answered):
            _answer(axes, *answer)
    for row, text in zip(rows, ("ENROLL\none picture each", "IDENTIFY\nwho is it?",
                                "VERIFY\nis it “…”?")):
        row[0].text(-0.1, 0.5, text, transform=row[0].transAxes, ha="right", va="center",
                    rotation=90, fontsize=11, fontweight="bold", color="0.35")
    figure.suptitle(f"{title}: the same person where d ≤ τ", fontsize=12)
    return write(path, figure)


def _answer(axes, picture, question, answer, found, truth, right):
    """A picture, what was asked above it, and what was said below, in the colour of right or wrong.

    found: a Match or a Verification, each with the τ that it was judged by.
    """
    mark, colour = ("✓", RIGHT) if right else ("✗", WRONG)
    axes.imshow(_tile(picture))
    axes.set_axis_on()
    axes.grid(False)
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(color=colour, linewidth=3)
    axes.set_title(question, fontsize=10, color="0.35")
    lines = [(f"{mark} {_short(_spaced(answer), 16)}", colour, "bold"),
             (f"d {found.distance:.3f} {'≤' if found.distance <= found.threshold else '>'} "
              f"τ {found.threshold:.3f}", "0.35", "normal"),
             (f"is {_short(_spaced(truth), 16)}", "0.35", "normal")]
    for i, (text, colour, weight) in enumerate(lines):
        axes.text(0.5, -0.07 - 0.15 * i, text, transform=axes.transAxes, ha="center", va="top",
                  fontsize=10, color=colour, fontweight=weight)


def _spaced(name):
    return str(name).replace("_", " ")


def finding(path, face, title="From a photograph to what the encoder sees"):
    """Side by side: the photograph with a Face's box, its landmarks, and its chip."""
    figure, (whole, near, upright) = panels_of(1, 3, (12, 4.6))
    x0, y0, x1, y1 = face.box
    whole.imshow(face.picture)
    near.imshow(face.picture)
    for axes in whole, near:
        axes.plot([x0, x1, x1, x0, x0], [y0, y0, y1, y1, y0], color=RIGHT, linewidth=2)
    wide, high = 0.35 * (x1 - x0), 0.35 * (y1 - y0)
    near.plot(*face.landmarks.T, "o", color="white", markeredgecolor="black", markersize=4,
              markeredgewidth=0.7)
    near.set(xlim=(x0 - wide, x1 + wide), ylim=(y1 + high, y0 - high))
    upright.imshow(np.rint(face.chip()).astype("uint8"))
    said = "the whole picture" if face.whole else f"found with score {face.score:.2f}"
    for axes, text in ((whole, f"box: {said}"), (near, "68 landmarks"),
                       (upright, "chip: upright, all faces in one place")):
        axes.set_axis_off()
        axes.set_title(text)
    figure.suptitle(title)
    return write(path, figure)


def cmc_curve(path, results, ranks=20, title="Recognition: cumulative match"):
    """Cumulative match curves of {name: cmc}: the share of queries whose person is among the k
    nearest."""
    _check_results("cmc_curve", results)
    figure, (axes,) = panels_of(1, 1, (7.5, 5))
    lowest = 1.0
    for i, (name, rates) in enumerate(results.items()):
        rates = np.asarray(rates)[:ranks]
        lowest = min(lowest, rates[0])
        axes.plot(np.arange(1, len(rates) + 1), rates, marker="o", markersize=4,
                  color=COLOURS[i % len(COLOURS)],
                  label=f"{name}: rank-1 {rates[0]:.2%}")
    most = min(ranks, max(len(rates) for rates in results.values()))
    step = max(1, round(most / 4))
    axes.set(xticks=sorted({1, *range(step, most + 1, step)}), ylim=(max(0, lowest - 0.1), 1.01),
             title=title, xlabel="rank k", ylabel="share with the right person among the k nearest")
    axes.legend(loc="lower right", fontsize=9)
    return write(path, figure)


def _check_results(operation, results):
    """Raise TypeError for what is no dictionary, ValueError for an empty one."""
    having(operation, "results", results, "a dictionary with a name for each curve", "items")
    if not results:
        raise ValueError(f"{operation}: results must have one curve or more, got none")


def _tile(picture, side=96):
    """A picture as a square of RGB, so that two of different kinds and sizes stand side by side."""
    return prepare(picture, side, 3).clip(0, 255).astype("uint8")


def _short(name, length=24):
    name = str(name)
    return name if len(name) <= length else name[:length - 1] + "…"
