"""How the style step grows with the picture, and what a second thread gives."""
from .libraries import use_threads
from .measuring import interleaved, summary
from .style import StyleStep


def per_pixel(records):
    """[(size, microseconds per pixel, that by the smallest picture's)] of minidl's style steps
    among the records."""
    found = []
    for record in records:
        if record["name"].startswith("style step"):
            size = int(record["name"].split()[-1].rstrip("²"))
            found.append((size,
                          1e6 * record["seconds"][record["best"]["minidl"]]["median"] / size ** 2))
    return [(size, each, each / found[0][1]) for size, each in found]


def threads(libraries, count, size, repeat):
    """{label: {"one", "many", "speed-up"}}: seconds of the style step on one thread and on
    `count`."""
    steps = {}
    for label, make in StyleStep(size).contestants(libraries).items():
        step = make()
        step()
        for number in 1, count:
            def call(step=step, number=number):
                use_threads(number)
                step()
            steps[label, number] = call
    times = {key: summary(samples)["median"] for key, samples in interleaved(steps, repeat).items()}
    use_threads(count)
    return {label: {"one": one, "many": times[label, count], "speed-up": one / times[label, count]}
            for (label, number), one in times.items() if number == 1}
