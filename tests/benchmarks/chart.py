"""The ratios as a bar chart."""
import io

from minidl.files import atomic_write


def draw(records, path, machine):
    """A bar for each case, PyTorch's time / minidl's, on a logarithmic axis with a line at 1;
    written to `path` (PNG)."""
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt
    records = [record for record in records if "PyTorch" in record["ratios"]]
    ratios = [record["ratios"]["PyTorch"] for record in records]
    sections = list(dict.fromkeys(record["section"] for record in records))
    places, place = [], 0.0
    for before, record in zip([None, *records], records):
        place += 1.0 if before is None or before["section"] == record["section"] else 1.8
        places.append(place)
    figure, axes = plt.subplots(figsize=(10, 1.6 + 0.24 * (place + 1)), layout="constrained")
    colours = [f"C{sections.index(record['section'])}" for record in records]
    axes.barh(places, [ratio - 1 for ratio in ratios], left=1, color=colours, height=0.8)
    axes.set_xscale("log")
    low, high = min([0.5, *ratios]) / 1.25, max([2.0, *ratios]) * 1.25
    axes.set_xlim(low, high)
    ticks = [t for t in (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20) if low <= t <= high]
    axes.set_xticks(ticks, [f"{t:g}" for t in ticks])
    axes.set_xticks([], minor=True)
    axes.set_yticks(places, [record["name"] for record in records], fontsize=8)
    axes.set_ylim(place + 0.8, 0.2)
    axes.axvline(1, color="black", linewidth=1)
    for where, ratio in zip(places, ratios):
        axes.annotate(f"{ratio:.2f}", (ratio, where), (3 if ratio >= 1 else -3, 0),
                      textcoords="offset points", fontsize=8,
                      va="center", ha="left" if ratio >= 1 else "right")
    for section in sections if len(sections) > 1 else ():
        first = next(i for i, record in enumerate(records) if record["section"] == section)
        axes.annotate(section, (1, places[first] - 0.9), xycoords=("axes fraction", "data"),
                      ha="right", va="center",
                      fontsize=8, color=colours[first])
    axes.set_xlabel("time of PyTorch / time of minidl (right of the line, minidl is faster)")
    axes.set_title(f"{machine['threads']} threads, {machine['cpu']}", fontsize=9)
    for side in "top", "right", "left":
        axes.spines[side].set_visible(False)
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=120)
    plt.close(figure)
    with atomic_write(path) as file:
        file.write(image.getvalue())
