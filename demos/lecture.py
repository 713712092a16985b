"""Two claims of the lecture, measured.

    python -m demos.lecture softmax         why people are not recognised by a softmax over names
    python -m demos.lecture upside-down     a picture's style does not say where anything is

softmax: K people are to be recognised.  One network learns to name them, by a softmax over the K
names.  The other, an encoder, has learned from other people what makes faces alike, never sees
these K in training, and goes by the nearest picture.  Both have one architecture, and see the same
one picture of each, or more; then they are asked about other pictures.  And one person is added:
the softmax has a new output, so it learns again; the encoder encodes one picture.

upside-down: VGG-19's activations of a photograph, turned upside down, and the costs of that.
"""
from pathlib import Path
import sys
from time import process_time

import numpy as np

from demos.command_line import (
    Parser,
    above,
    answer,
    counting,
    run,
    say,
    start,
    write_json,
)
import minidl as md
from minidl import faces, losses
from minidl.plots import check_matplotlib, panels_of, write
from minidl.style import content_cost, style_cost

SIZE, PICTURES = 32, 8                  # pixels of a side; pictures of each person
ENCODER = {"channels": 3, "border": 0, "widths": (16, 32, 64), "features": 64}
BATCH = 64
IMAGES = Path(__file__).parent / "images"
STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")


def main(arguments=None):
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    name = arguments[0] if arguments and arguments[0] in COMMANDS else None
    options = _options(name, arguments[1:] if name else arguments)
    start(options)
    write_json(options.json, {**COMMANDS[name](options), "seed": options.seed})


def _options(name, arguments):
    if name is None:
        parser = Parser("lecture", __doc__)
        parser.add_argument("command", choices=COMMANDS, metavar=" | ".join(COMMANDS),
                            help="each has its own --help")
        return parser.parse_args(arguments)
    parser = Parser(f"lecture {name}", __doc__)
    parser.set_defaults(output=Path("output") / "lecture")
    if name == "softmax":
        parser.add_argument("--people", nargs="+", type=above(1), default=[10, 30, 100, 300],
                            metavar="K", help="how many are to be recognised")
        parser.add_argument("--examples", nargs="+", type=above(0), default=[1, 4], metavar="N",
                            help=f"pictures of each to learn from, below {PICTURES}")
        parser.add_argument("--others", type=above(15), default=300, metavar="N",
                            help="people from whom the encoder learns")
        parser.add_argument("--steps", type=above(0), default=300, metavar="N",
                            help=f"of each training, of {BATCH} pictures")
    else:
        parser.add_argument("--picture", type=Path, default=IMAGES / "chelsea.jpg")
        parser.add_argument("--size", type=above(31), default=256, help="pixels of the longer side")
    options = parser.parse_args(arguments)
    if name == "softmax" and max(options.examples) >= PICTURES:
        parser.error(f"--examples must be below {PICTURES}, the pictures of each person")
    return options


def softmax(options):
    """The figures of both networks, for each number of people and of examples."""
    check_matplotlib()
    pictures, who = md.data.drawn_faces(max(options.people) + options.others, PICTURES, SIZE,
                                        options.seed)
    other = who >= max(options.people)
    began = process_time()
    encoder = md.models.siamese_encoder(SIZE, **ENCODER, seed=options.seed)
    with counting(options.steps, "the encoder, from other people", options.quiet) as bar:
        faces.train(encoder, pictures[other], who[other], pretrain_steps=options.steps * 3 // 4,
                    steps=options.steps // 4, people=16, pretrain_batch=BATCH, seed=options.seed,
                    callback=lambda _: bar.update())
    once, rows = process_time() - began, []
    say(options, f"the encoder learned once, from {options.others} other people: {once:.0f} s of "
        "processor time")
    for people in options.people:
        for examples in options.examples:
            rows.append(_compare(encoder, pictures, who, people, examples, options))
            answer(_sentence(rows[-1]))
    say(options, _plot(options.output / "softmax.png", rows, options.examples))
    return {"rows": rows, "encoder_processor_seconds": once, "others": options.others,
            "steps": options.steps, "pictures_per_training": options.steps * BATCH}


def _compare(encoder, pictures, who, people, examples, options):
    """How often both are right, and what it costs them to add one person."""
    place = np.arange(len(who)) % PICTURES
    known, asked = (np.flatnonzero((who < people) & part)
                    for part in (place < examples, place >= PICTURES // 2))
    began = process_time()
    named = _softmax(pictures[known], who[known], pictures[asked], people, options)
    learning = process_time() - began
    gallery, questions = (faces.encode(encoder, pictures[part]) for part in (known, asked))
    nearest = who[known][faces.squared_distances(questions, gallery).numpy().argmin(1)]
    began = process_time()
    faces.encode(encoder, pictures[known[:1]])
    encoding = process_time() - began
    right = {"softmax": int((named == who[asked]).sum()),
             "distance": int((nearest == who[asked]).sum())}
    return {"people": people, "examples": examples, "asked": len(asked),
            **{name: count / len(asked) for name, count in right.items()},
            **{f"{name}_interval": faces.wilson_interval(count, len(asked))
               for name, count in right.items()},
            "add_one_processor_seconds": {"softmax": learning, "distance": encoding}}


def _softmax(pictures, who, asked, people, options):
    """What a network says that has learned to name these people from these pictures."""
    rng = np.random.default_rng(options.seed)
    body = md.models.siamese_encoder(SIZE, **ENCODER, seed=options.seed)
    head = faces.CosineClassifier(body.features, people, rng=rng)
    optimizer = md.optim.AdamW(body.parameters() + head.parameters(), 2e-3, weight_decay=0.05)
    sampler = faces.PictureSampler(who, BATCH, options.seed)
    with counting(options.steps, f"softmax over {people} people", options.quiet) as bar:
        for t in range(options.steps):
            chosen = sampler[t]
            x = md.tensor(md.data.FACES(pictures[chosen], rng).astype("float32"))
            optimizer.learning_rate = 2e-3 * md.training.schedules.warm_up_cosine(
                t, options.steps, 0.05)
            optimizer.zero_grad()
            losses.cross_entropy(head(body(x), who[chosen]), who[chosen]).backward()
            optimizer.step()
            bar.update()
    names = head.weight.numpy()
    names = names / np.linalg.norm(names, axis=1, keepdims=True)
    return (faces.encode(body, asked) @ names.T).argmax(1)


def _sentence(row):
    cost = row["add_one_processor_seconds"]
    return (f"{row['people']:4d} people, {row['examples']} of each: softmax {row['softmax']:.1%} "
            f"right, distance {row['distance']:.1%}; one person more: {cost['softmax']:.0f} s of "
            f"learning, or {1000 * cost['distance']:.0f} ms")


def _plot(path, rows, examples):
    figure, panels = panels_of(1, len(examples), (4.2 * len(examples), 3.4), sharey=True)
    for axes, n in zip(panels, examples):
        chosen = [row for row in rows if row["examples"] == n]
        people = [row["people"] for row in chosen]
        for name, label in (("softmax", "softmax over the names"),
                            ("distance", "distance, never trained on them")):
            low, high = zip(*(row[f"{name}_interval"] for row in chosen))
            line, = axes.plot(people, [row[name] for row in chosen], "o-", label=label)
            axes.fill_between(people, low, high, alpha=0.2, color=line.get_color())
        axes.set(xscale="log", xticks=people, xticklabels=people, xlabel="people", ylim=(0, 1),
                 title=f"{n} picture{'s' * (n > 1)} of each", xmargin=0.1)
        axes.minorticks_off()
    panels[0].set_ylabel("share that is named rightly")
    panels[0].legend()
    return write(path, figure)


def upside_down(options):
    """The costs of a photograph's activations, of the same turned upside down."""
    picture = md.data.load_image(options.picture, options.size).astype("float32")[None]
    net = md.models.vgg19(weights="vgg19")
    with md.no_grad():
        a = net(md.tensor(picture), layers=[*STYLE_LAYERS, "relu4_2"])
        b = net(md.tensor(picture[:, ::-1].copy()), layers=[*STYLE_LAYERS, "relu4_2"])
        noise = np.random.default_rng(options.seed).uniform(0, 255, picture.shape)
        c = net(md.tensor(noise.astype("float32")), layers=[*STYLE_LAYERS, "relu4_2"])
    turned = {layer: md.tensor(activation.numpy()[:, ::-1]) for layer, activation in a.items()}
    figures = {}
    for name, other in (("activations turned", turned), ("picture turned", b), ("noise", c)):
        style = style_cost(*({layer: x[layer] for layer in STYLE_LAYERS} for x in (a, other)))
        figures[name] = {"style": style.item(),
                         "content": content_cost(a["relu4_2"], other["relu4_2"]).item()}
        answer(f"{name}: style cost {figures[name]['style']:.3g}, content cost "
               f"{figures[name]['content']:.3g}")
    return {"costs": figures, "picture": str(options.picture), "size": options.size}


COMMANDS = {"softmax": softmax, "upside-down": upside_down}

if __name__ == "__main__":
    run(main)
