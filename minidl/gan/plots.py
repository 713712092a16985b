"""Games as pictures: the laboratory, a collapse and its cure, the Dirac GAN, training runs.

Colours: orange is what is taken for real (D = 1), violet for generated (D = 0), white where the
critic cannot tell (D = ½).  Data are black, samples green.
"""
from collections.abc import Sequence
import io
import os
from pathlib import Path

import numpy as np

from minidl.data import save_image
from minidl.files import atomic_write
from minidl.gan import density, dirac, pictures
from minidl.gan.plane import Laboratory
from minidl.gan.report import nearest
from minidl.gan.theory import best_discriminator
from minidl.operands import check_sizes, listed
from minidl.plots import panels_of, write
from minidl.settings import numbers, of_kind

DATA, SAMPLES, FIELD = "black", "#0a8f3c", "PuOr_r"
NOTHING = 1e-7          # less than one of the samples that cells are counted with
VIOLET, WHITE, ORANGE = np.array([(84, 39, 136), (247, 247, 247), (179, 88, 6)], float)


def laboratory_sheet(path: str | os.PathLike, lab: Laboratory) -> Path:
    """All of one game on a page, after it was played: the critic beside the best one, the arrows of
    the generator's slope, the grid of noise and what becomes of it, and how it went."""
    _check_played("laboratory_sheet", lab)
    figure, axes = panels_of(2, 4, (20, 9.6))
    judged = lab.points(lab.judged, 1)
    real = lab.unit.sample(1000, np.random.default_rng([lab.seed, 3, 77]))
    _critic(axes[0], lab, real, judged)
    _best(axes[1], lab)
    _arrows(axes[2], lab, judged)
    _warped(axes[3], lab)
    _places(axes[4], lab, real, judged)
    _curves(axes[5:], lab)
    for each in axes[:5]:
        _square(each, lab)
    recipe = lab.recipe
    figure.suptitle(f"A game for the {lab.shape.name}: {recipe.game}, R1 γ = {recipe.gamma:g}, "
                    f"{recipe.steps:,} steps, seed {lab.seed}", fontsize=15)
    return write(path, figure)


def _check_played(operation, lab):
    """Raise TypeError for what is no Laboratory, ValueError before anything is seen in it."""
    of_kind(operation, "lab", lab, "a Laboratory", Laboratory)
    if not lab.moments:
        raise ValueError(f"{operation}: the game was not played yet: call its play()")


def _critic(axes, lab, real, judged):
    field = lab.probabilities(lab.seen.middles)
    _show(axes, lab.seen, field)
    axes.plot(*real.T, ".", color=DATA, markersize=2, label="data")
    axes.plot(*judged[:1000].T, ".", color=SAMPLES, markersize=2, label="samples")
    axes.legend(loc="upper right", markerscale=5, fontsize=10)
    axes.set_title("the critic: D(x) = σ(s(x))\n"
                   "orange: real, violet: generated, white: cannot tell")


def _best(axes, lab):
    """D* in cells, and how far D is from D* at samples."""
    best = where, p, q = lab.best()
    image = _show(axes, where, np.where(p + q > NOTHING, best_discriminator(p, q), np.nan))
    axes.set_facecolor("0.85")
    apart, exact = lab.distance_to_best(best)
    how = "q exactly, by det ∂G/∂z" if exact else "q in cells, as G folds"
    axes.set_title("the best critic: D* = p / (p + q), grey: neither data nor samples\n"
                   f"at samples E|D − D*| = {apart:.3f} ({how})")
    axes.figure.colorbar(image, ax=axes, shrink=0.75, ticks=[0, 0.5, 1])


def _arrows(axes, lab, judged):
    _show(axes, lab.seen, lab.probabilities(lab.seen.middles), alpha=0.55)
    chosen = judged[:350]
    pulls = lab.pulls(chosen)
    lengths = np.linalg.norm(pulls, axis=1, keepdims=True)
    longest = 0.12 * lab.seen.edges[-1]
    usual = max(np.percentile(lengths, 80), 1e-12)
    arrows = pulls * (longest / np.maximum(lengths, usual))
    axes.quiver(*chosen.T, *arrows.T, angles="xy", scale_units="xy", scale=1, width=0.003)
    axes.plot(*chosen.T, ".", color=SAMPLES, markersize=3)
    axes.set_title("where the generator's cost pulls samples:\n−∂cost/∂x, the longest fifth cut")


def _warped(axes, lab):
    """Lines of the square |z| ≤ 2.5, coloured by their place, and their images."""
    from matplotlib import colormaps
    from matplotlib.collections import LineCollection
    fine, lines = np.linspace(-2.5, 2.5, 1200), np.linspace(-2.5, 2.5, 21)
    for axis, colours in ((0, colormaps["viridis"]), (1, colormaps["plasma"])):
        z = np.stack(np.meshgrid(lines, fine, indexing="ij"), -1)           # (21, 1200, 2)
        z = z if axis == 0 else z[..., ::-1]
        x = density.push(lab.average.average, z.reshape(-1, 2).astype("float32")).x.reshape(z.shape)
        axes.add_collection(LineCollection(x, colors=[colours(t) for t in np.linspace(0, 1, 21)],
                                           linewidths=0.7, alpha=0.8))
    axes.set_title("the grid of noise |z₁|, |z₂| ≤ 2.5, as G bends it\n(of the averaged G)")


def _places(axes, lab, real, judged):
    axes.plot(*real.T, "x", color=DATA, markersize=3, alpha=0.4, label="data")
    axes.plot(*judged.T, ".", color=SAMPLES, markersize=3, alpha=0.6, label="samples")
    row = lab.history[-1]
    said = "" if not lab.unit.modal else (
        f"\n{row['modes']} of {len(lab.unit.centres)} modes, {row['good_share']:.1%} within 3σ, "
        f"KL {row['reverse_kl']:.4f}")
    axes.set_title(f"{len(judged):,} samples of the averaged G{said}")


def _curves(axes, lab):
    steps = [row["step"] for row in lab.history]

    def draw(panel, name, label, **style):
        panel.plot(steps, [row[name] for row in lab.history], label=label, **style)

    draw(axes[0], "js", "Jensen–Shannon divergence of p and q (cells)", color="black")
    draw(axes[0], "bound", "(V + log 4) / 2, its lower bound by the critic", color="#aa3377")
    axes[0].axhline(np.log(2), color="0.6", linestyle=":")
    axes[0].annotate("log 2: nothing in common", (steps[0], np.log(2)), va="bottom", color="0.4")
    axes[0].set(title="what the critic knows of the distance (nats)", ylim=(-0.02, 0.95))
    draw(axes[1], "critic", "critic's cost (with R1)", color="#2266aa")
    draw(axes[1], "generator", "generator's cost", color="#dd7711")
    for height, name in ((np.log(4), "log 4"), (np.log(2), "log 2")):
        axes[1].axhline(height, color="0.6", linestyle=":")
        axes[1].annotate(name, (steps[-1], height), va="bottom", ha="right", color="0.4")
    axes[1].set_title("the losses need not fall:\n"
                      "where the log games rest, they are log 4 and log 2")
    if lab.unit.modal:
        draw(axes[2], "good_share", "share of good samples", color=SAMPLES)
        draw(axes[2], "rarest_share", "of the rarest mode, of its due", color="#aa3377")
        draw(axes[2], "reverse_kl", "reverse KL of the modes (nats)", color="#2266aa")
        axes[2].plot(steps, [row["modes"] / len(lab.unit.centres) for row in lab.history],
                     color="black", label="modes, of all")
        axes[2].set(title="modes over time", ylim=(-0.02, 1.6))
    else:
        axes[2].set_axis_off()
    for panel, place in zip(axes, ("upper right", "center right", "upper left")):
        panel.set_xlabel("steps of the generator")
        if panel.lines:
            panel.legend(fontsize=9, loc=place)


def _square(axes, lab):
    """The laboratory's square, whatever lies outside."""
    reach = lab.seen.edges[-1]
    axes.set(aspect="equal", xticks=[], yticks=[], xlim=(-reach, reach), ylim=(-reach, reach))
    axes.grid(False)


def _show(axes, where, field, **options):
    return axes.imshow(field, origin="lower", extent=where.extent, cmap=FIELD, vmin=0, vmax=1,
                       interpolation="nearest", **options)


def laboratory_frames(lab: Laboratory, side: int = 384) -> list[np.ndarray]:
    """A picture (side, side, 3) of each Moment: the critic's field, data and samples."""
    _check_played("laboratory_frames", lab)
    check_sizes("laboratory_frames", side=side)
    real = lab.unit.sample(600, np.random.default_rng([lab.seed, 3, 77]))
    return [frame(moment, lab, real, side) for moment in lab.moments]


def frame(moment, lab, real, side):
    from PIL import Image, ImageDraw
    d = np.clip(moment.field[::-1], 0, 1)[..., None]
    sure = 2 * d - 1                                    # −1 generated … 1 real
    colours = WHITE + np.where(sure > 0, (ORANGE - WHITE) * sure, (WHITE - VIOLET) * sure)
    image = Image.fromarray(colours.astype(np.uint8)).resize((side, side))
    draw, reach = ImageDraw.Draw(image), lab.seen.edges[-1]
    for points, colour in ((real, (0, 0, 0)), (moment.samples[:1200], (10, 143, 60))):
        for x, y in (points / reach * (1, -1) + 1) * (side / 2):
            draw.ellipse((x - 1.2, y - 1.2, x + 1.2, y + 1.2), fill=colour)
    draw.rectangle((0, 0, side, 20), fill=(255, 255, 255))
    draw.text((6, 3), f"{lab.shape.name}, step {moment.step:,}: data black, samples green",
              fill=(40, 40, 40), font_size=13)
    return np.asarray(image)


def save_animation(path: str | os.PathLike, frames: Sequence[np.ndarray], milliseconds: int = 180,
                   last: int = 1500) -> str | os.PathLike:
    """Write uint8 pictures (H, W, 3) as a GIF or PNG (APNG), by the ending.

    milliseconds: for which each is shown; last: for which the last one is.
    Raises ValueError for other endings and pictures, and for pictures of several sizes.
    """
    from PIL import Image
    check_sizes("save_animation", milliseconds=milliseconds, last=last)
    pages = [numbers("save_animation", "a picture", each, "(H, W, 3)", None) for each in frames]
    if not pages:
        raise ValueError("save_animation: there are no pictures")
    kinds = {(str(page.dtype), page.shape) for page in pages}
    if len(kinds) > 1 or pages[0].dtype != np.uint8 or pages[0].size == 0:
        raise ValueError("save_animation: pictures must be uint8 (H, W, 3) of one size, got "
                         + " and ".join(f"{dtype} {shape}" for dtype, shape in sorted(kinds)[:3]))
    images = [Image.fromarray(page) for page in pages]
    buffer, kind = io.BytesIO(), str(path).rsplit(".", 1)[-1].lower()
    if kind not in ("gif", "png", "apng"):
        raise ValueError(f"save_animation: {path} must end in .gif, .png or .apng")
    if kind == "gif":
        images = [each.quantize(128) for each in images]
    durations = [milliseconds] * (len(images) - 1) + [last]
    images[0].save(buffer, "GIF" if kind == "gif" else "PNG", save_all=True,
                   append_images=images[1:], duration=durations, loop=0)
    with atomic_write(path) as file:
        file.write(buffer.getvalue())
    return path


def collapse_sheet(path: str | os.PathLike, ill: Laboratory, cured: Laboratory,
                   columns: int = 5) -> Path:
    """Two games that differ in R1 alone, as rows of moments; their shapes have modes."""
    check_sizes("collapse_sheet", columns=columns)
    for lab in ill, cured:
        _check_played("collapse_sheet", lab)
        if not lab.unit.modal:
            raise ValueError(f"collapse_sheet: a {lab.shape.name} has no modes to count")
    figure, axes = panels_of(2, columns, (3.1 * columns, 7.2))
    for row, (lab, name) in enumerate(((ill, "without"), (cured, "with"))):
        chosen = np.linspace(0, len(lab.moments) - 1, columns).round().astype(int)
        real = lab.unit.sample(500, np.random.default_rng([lab.seed, 3, 77]))
        for panel, i in zip(axes[row * columns:], chosen):
            moment, entry = lab.moments[i], lab.history[i]
            _show(panel, lab.seen, moment.field, alpha=0.8)
            panel.plot(*real.T, ".", color=DATA, markersize=2)
            panel.plot(*moment.samples.T, ".", color=SAMPLES, markersize=2)
            modes = f"{entry['modes']} of {len(lab.unit.centres)} modes"
            panel.set_title(f"step {moment.step:,}: {modes}")
            _square(panel, lab)
        axes[row * columns].set_ylabel(f"{name} R1 (γ = {lab.recipe.gamma:g})", fontsize=13)
    figure.suptitle("Collapse and its cure: the same seed, nets and steps; R1 makes the critic "
                    "flat where the data are", fontsize=14)
    return write(path, figure)


def dirac_sheet(path, gammas=(0.0, 0.3, 1.0, 2.0), start=(1.5, 0.0), step=0.1, steps=300):
    """The Dirac GAN's field with γ of R1, the path of simultaneous steps, and the eigenvalues."""
    gammas = numbers("dirac_sheet", "gammas", gammas, "(N,)")
    if len(gammas) == 0:
        raise ValueError("dirac_sheet: gammas must be one or more, got none")
    figure, axes = panels_of(1, len(gammas), (4.6 * len(gammas), 6))
    grid = np.meshgrid(np.linspace(-2.4, 2.4, 21), np.linspace(-2.4, 2.4, 21))
    for panel, gamma in zip(axes, gammas):
        theta, psi = dirac.velocity(*grid, gamma)
        panel.streamplot(*grid, theta, psi, color="0.72", density=1.1, linewidth=0.8, arrowsize=0.9)
        places = dirac.trajectory(start, gamma, step, steps)
        panel.plot(*places.T, color="#aa3377", linewidth=1.8)
        panel.plot(*places[0], "o", color="#aa3377")
        panel.plot(0, 0, "+", color="black", markersize=12)
        values = dirac.eigenvalues(gamma)
        said = ", ".join(f"{each.real + 0.0:.2f}" + f" {each.imag:+.2f}i" * bool(each.imag)
                         for each in values)
        panel.set(xlim=(-2.4, 2.4), ylim=(-2.4, 2.4), aspect="equal", xlabel="generator θ",
                  title=f"R1 γ = {gamma:g}\neigenvalues {said}")
    axes[0].set_ylabel("critic ψ")
    figure.suptitle("The Dirac GAN: θ' = −ψ f'(ψθ), ψ' = θ f'(ψθ) − γψ; a path of "
                    f"{steps} steps of {step:g}", fontsize=13)
    return write(path, figure)


def training_curves(path: str | os.PathLike, history: list[dict], game: str = "non-saturating",
                    title: str = "Training") -> Path:
    """How a `Training` went, from its rows: costs, the critic's share of right answers, spread."""
    history = listed("training_curves", "history", history, "the rows of a Training")
    if not history or not {"step", "critic", "generator", "right", "alike"} <= {*history[0]}:
        raise ValueError("training_curves: history must be the rows of a gan.Training, one or "
                         f"more, got {', '.join(history[0]) if history else 'none'}")
    figure, axes = panels_of(3, 1, (9, 8.4), sharex=True)
    steps = [row["step"] for row in history]
    for name, colour in (("critic", "#2266aa"), ("generator", "#dd7711")):
        axes[0].plot(steps, [row[name] for row in history], color=colour, label=f"{name}'s cost")
    if game in ("non-saturating", "minimax"):
        for height, name in ((np.log(4), "log 4: the critic's where it can tell nothing"),
                             (np.log(2), "log 2: the generator's there")):
            axes[0].axhline(height, color="0.5", linestyle=":")
            axes[0].annotate(name, (steps[-1], height), va="bottom", ha="right", fontsize=9)
    axes[0].margins(y=0.15)
    axes[0].set_title(f"{title}\nthe losses need not fall: each depends on the other player")
    axes[1].plot(steps, [row["right"] for row in history], color="#aa3377",
                 label="critic's right answers")
    axes[1].axhline(0.5, color="0.5", linestyle=":")
    axes[1].set(ylim=(0.4, 1.02), ylabel="½: it can tell nothing")
    axes[2].plot(steps, [row["alike"] for row in history], color=SAMPLES,
                 label="spread of the generated pictures over that of real ones")
    axes[2].set(ylim=(0, 1.3), ylabel="0: all alike", xlabel="step")
    for panel in axes:
        panel.legend(fontsize=9, loc="best")
    return write(path, figure)


def training_sheets(folder, training, source, title):
    """What a training made, as pictures in a folder, beside real ones.

    grid.png: unselected samples, and real pictures in the same grid.  walks.png: from noise to
    noise.  neighbours.png: samples above the nearest training pictures.  album.png, training.gif:
    the same noise over time.  curves.png: costs.  source: has train, train_labels and names.
    """
    generator, rng = training.average.average, np.random.default_rng([training.seed, 12])
    columns, said = generator.classes or 10, "generated, not selected"
    if generator.classes:
        said += f": a class for each column ({', '.join(source.names)}), a noise for each row"
    made, real = pictures.class_grid(generator, 8, rng), _real_grid(source, columns, rng)
    few, _ = pictures.samples(generator, 20, rng)
    above_below = np.concatenate([each[i:i + 10] for i in (0, 10)
                                  for each in (few, nearest(few, source.train))])
    captioned = pictures.captioned_sheet
    sheets = {
        "grid.png": pictures.stacked(captioned(said, made, columns),
                                     captioned("real pictures", real, columns)),
        "walks.png": captioned("from one noise to another along the sphere, a row each",
                               pictures.walks(generator, 8, 12, rng), 12),
        "neighbours.png": captioned("generated, and below each the nearest training picture, by "
                                    "pixels", above_below, 10)}
    if training.album.pages:
        sheets["album.png"] = pictures.album_sheet(training.album, columns)
        save_animation(folder / "training.gif", pictures.album_frames(training.album, columns))
    for name, sheet in sheets.items():
        save_image(folder / name, sheet)
    training_curves(folder / "curves.png", training.loop.history, training.recipe.game, title)


def _real_grid(source, columns, rng, rows=8):
    """Training pictures in rows, one of each class in a row."""
    if source.train_labels is None:
        return source.train[rng.choice(len(source.train), rows * columns)]
    return np.stack([source.train[rng.choice(np.flatnonzero(source.train_labels == k))]
                     for _ in range(rows) for k in range(columns)])
