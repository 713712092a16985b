"""Small valid arguments of the public callables that have no example in their docstring.

ARGUMENTS is {room: {name: a function that gives the arguments by name}}, METHODS a list of (label,
a function that gives an object, {method: a function that gives its arguments}).  Nothing here needs
the network or trained weights; nets have a handful of weights, pictures 8 × 8 pixels.
"""
import functools
import gzip
import os
from pathlib import Path
import tempfile

import numpy as np

import minidl as md
from minidl import (
    classification,
    data,
    faces,
    files,
    gan,
    models,
    nn,
    oneshot,
    style,
    testing,
    training,
    visualize,
    weights,
)
from minidl.gan import density, dirac, measures, mixtures, theory
from minidl.gan import pictures as gan_pictures
from minidl.ops import communication
from minidl.parallel import distributed
from minidl.training import schedules

drawn = np.random.default_rng(0)
PICTURE = drawn.integers(0, 256, (8, 8, 3), "uint8")
PICTURES = drawn.integers(0, 256, (6, 8, 8, 3), "uint8")
GREYS = drawn.integers(0, 256, (8, 16, 16, 1), "uint8")
INK = np.where(drawn.random((12, 16, 16)) < 0.2, 0, 255).astype("uint8")
LABELS = np.repeat([0, 1, 2, 3], 2)                     # of GREYS
VECTORS = drawn.standard_normal((8, 4)).astype("float32")
DISTANCES = np.array([0.1, 0.4, 0.2, 0.5, 0.9, 0.7])
SAME = np.array([True, True, True, False, False, False])
TABLE = np.abs(VECTORS[:, None] - VECTORS).sum(-1)      # (8, 8), distances of all pairs
LANDMARKS = np.concatenate([np.full((17, 2), 0.5), faces.alignment.MEAN_FACE]) * 8
FACE = faces.Face(PICTURE, np.array([1.0, 1, 7, 7]), 0.9, LANDMARKS)
IMPOSTORS = faces.Impostors((0.001, 0.01, 0.1), (0.3, 0.5, 0.8), 20, 190)
POINTS = drawn.standard_normal((20, 2))
SIGNALS = drawn.standard_normal((8, 12, 2)).astype("float32")       # two of each of four classes
PULSE = data.Recording("pulse", np.tile(np.r_[np.zeros(90), 1, np.zeros(9)], 8), 100.0)
BRAIN = {"t1": np.full((2, 2, 2), 90, "uint8"), "grey": np.array(
    [200, 200, 200, 10, 10, 10, 0, 0], "uint8").reshape(2, 2, 2), "white": np.array(
        [10, 10, 10, 200, 200, 200, 10, 10], "uint8").reshape(2, 2, 2)}
MASSES, OTHER_MASSES = np.array([0.2, 0.3, 0.5]), np.array([0.4, 0.4, 0.2])


@functools.cache
def folder():
    """A temporary folder with files of all kinds, which is the working folder from then on."""
    made = tempfile.TemporaryDirectory(prefix="odd-")
    folder.until_the_end = made
    here = Path(made.name)
    os.chdir(here)
    data.save_image(here / "picture.png", PICTURE, {"title": "a picture"})
    for name in ("plain/a.png", "people/Ann/1.png", "people/Ann/2.png", "people/Bob/1.png",
                 "people/Bob/2.png", "people/Cy/1.png", "people/Cy/2.png", "people/Di/1.png",
                 "people/Di/2.png", "letters/greek/alpha/1.png", "letters/greek/alpha/2.png",
                 "runs/run01/training/a.png", "runs/run01/test/b.png"):
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        data.save_image(here / name, PICTURE)
    (here / "runs/run01/class_labels.txt").write_text("run01/test/b.png run01/training/a.png\n")
    (here / "pairs.csv").write_text("image_a,image_b,same\nAnn/1.png,Ann/2.png,1\n"
                                    "Ann/1.png,Bob/1.png,0\n")
    for part in ("train", "t10k"):
        write_idx(here / f"idx/{part}-images-idx3-ubyte", GREYS[..., 0])
        write_idx(here / f"idx/{part}-labels-idx1-ubyte", LABELS.astype("uint8"))
    weights.save(here / "arrays.npz", {"w": VECTORS})
    weights.save(here / "characters.npz", models.CharacterEncoder(rng=0))
    models.save_encoder(here / "encoder.npz", encoder())
    gan.save_generator(here / "generator.npz", generator())
    gallery().save(here / "gallery.npz")
    visualize.save_patches(here / "patches.json", found())
    style.save_state(here / "state.npz", evaluation().state)
    (here / "series.ts").write_text("@classLabel true a b\n@data\n1,2:3,4:a\n5,6:7,8:b\n")
    (here / "pulse.txt").write_text("\n".join(map(str, PULSE.values)))
    for name, values in BRAIN.items():
        write_nifti(here / f"{name}.nii.gz", values)
    return here


def write_idx(path, array):
    path.parent.mkdir(exist_ok=True)
    head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    path.write_bytes(head + array.tobytes())


def write_nifti(path, values):
    """Bytes (X, Y, Z): type 2 of NIfTI-1."""
    header = bytearray(352)
    header[:4], header[344:348] = np.array(348, "<i4").tobytes(), b"n+1\0"
    header[40:56] = np.array([3, *values.shape, 1, 1, 1, 1], "<i2").tobytes()
    header[70:72] = np.array(2, "<i2").tobytes()
    header[76:112] = np.array([1, 1, 1, 1, 0, 0, 0, 0, 352], "<f4").tobytes()
    path.write_bytes(gzip.compress(bytes(header) + values.tobytes("F")))


def encoder():
    return models.siamese_encoder(16, border=0, widths=(2,), features=4)


def generator():
    return gan.Generator(8, 1, noise=2, width=1, rng=0)


def discriminator():
    return gan.Discriminator(8, 1, width=1, rng=0)


def gallery():
    made = faces.Gallery(encoder(), impostors=IMPOSTORS)
    made.enroll_encodings(["Ann", "Bob", "Cy"], VECTORS[:3])
    return made


def net():
    return nn.Sequential({"conv1": nn.Conv2d(3, 2, 3, padding=1, rng=0), "relu1": nn.ReLU(),
                          "conv2": nn.Conv2d(2, 2, 3, padding=1, rng=0), "relu2": nn.ReLU()})


def score(x):
    return md.ops.sum(md.ops.square(x), tuple(range(1, x.ndim)))


@functools.cache
def found():
    return visualize.top_patches(net(), list(PICTURES), "relu1", k=2)


@functools.cache
def evaluation():
    seen = []
    style.transfer(PICTURE, PICTURES[1], callback=seen.append, **PAINTING())
    return seen[-1]


def PAINTING():
    return dict(size=16, steps=2, net=net(), content_layers=["relu2"], style_layers=["relu1"],
                scales=1, optimizer="adam")


def people():
    return data.read_people(folder() / "people")


def pairs():
    return data.read_pairs(folder() / "pairs.csv", folder() / "people")


def characters():
    return data.Characters(INK, np.repeat(np.arange(6), 2), [f"abc/{i}" for i in range(6)])


def laboratory():
    recipe = gan.Recipe(steps=1, batch=4, width=2, generator_layers=1, critic_layers=1)
    return gan.Laboratory(mixtures.ring(3), recipe, judged=8, rows=1)


def training_of_pictures():
    return dict(generator=generator(), discriminator=discriminator(), pictures=GREYS[:, :8, :8],
                labels=None, recipe=gan.PictureRecipe(steps=1, batch=2), seed=0,
                checkpoint=folder() / "gan.npz", every=1, pages=1,
                shown=(VECTORS[:2, :2], None), identity=None)


def dense():
    return nn.Sequential(nn.Dense(2, 1, rng=0))


def loop():
    module = dense()
    adam = md.optim.Adam(module.parameters())
    return dict(step=lambda t, x: training.descend((md.ops.sum(module(x)), adam))[0],
                batch=lambda t: VECTORS[:2, :2], steps=2, parts={"net": module, "adam": adam},
                schedule=lambda t: 0.1, every=1, evaluate=lambda loop: {"more": 1.0},
                monitor=lambda loop: None, callback=lambda loop: None,
                checkpoint=folder() / "loop.npz", identity={"seed": 0}, ahead=0, owner="Loop")


def with_gradient():
    w = nn.Parameter([1.0, 2.0])
    w.grad = md.tensor([3.0, 4.0])
    return [w]


def classifier():
    return classification.convnet(1, 2, 4, [classification.Block(2, 3)], rng=0)


def resnet():
    blocks, before = models.face_resnet.BLOCKS, 32
    shapes = {"conv32_down": (7, 7, 3, 32)}
    for name, (after, _) in blocks.items():
        shapes |= {f"{name}.conv1": (3, 3, before, after), f"{name}.conv2": (3, 3, after, after)}
        before = after
    filters = {name: (np.zeros(shape, "float32"), np.zeros(shape[-1], "float32"))
               for name, shape in shapes.items()}
    return dict(filters=filters, dense=np.zeros((256, 128), "float32"))


def vgg_blocks():
    w, b = np.zeros((3, 3, 3, 3), "float32"), np.zeros(3, "float32")
    return dict(blocks=[[(w, b)]] * 2, mean=(1.0, 2.0, 3.0), pooling="max")


def face_training():
    return dict(encoder=encoder(), pictures=GREYS, labels=LABELS, steps=1, people=2, per_person=2,
                pretrain_steps=1, pretrain_batch=2, validation=(GREYS, LABELS), every=1, patience=1,
                checkpoint=folder() / "faces.npz", callback=lambda step: None, augmentation=None)


def of(**arguments):
    """A function that gives these arguments."""
    return lambda: dict(arguments)


def at(name, **arguments):
    """A function that gives a path in the folder, under the first name, and these arguments."""
    key, _, file = name.partition("=")
    return lambda: {key: folder() / file} | arguments


DATA = {
    "Augmentation": of(flip=0.5), "Brain": of(t1=PICTURES, tissue=PICTURES),
    "Exercises": of(recordings=[], labels=LABELS, names=["a"], people=LABELS, left=LABELS > 1),
    "Recording": lambda: PULSE._asdict(), "Series": of(values=SIGNALS, labels=LABELS, names=["a"]),
    "Volume": of(values=PICTURES, spacing=(1.0, 1.0, 1.0)), "drawn_beats": of(count=2),
    "find_beats": of(recording=PULSE), "japanese_vowels": of(), "levelled": of(beats=SIGNALS),
    "mni_brain": of(),
    "read_brain": lambda: {name: folder() / f"{name}.nii.gz" for name in BRAIN},
    "read_ecg": at("path=pulse.txt", hertz=100.0), "read_nifti": at("path=t1.nii.gz"),
    "read_ts": at("path=series.ts"), "recorded_ecgs": of(), "tubes_and_balls": of(count=2, size=8),
    "watch_exercises": of(), "windows": of(recordings=list(SIGNALS), size=4, hop=2),
    "FACES": of(pictures=PICTURES, rng=0), "DRAWINGS": of(pictures=PICTURES, rng=0),
    "contact_sheet": of(pictures=PICTURES), "Characters": lambda: characters()._asdict(),
    "Dataset": lambda: data.load_idx_dataset(folder() / "idx")._asdict(),
    "Pairs": lambda: pairs()._asdict(),
    "People": lambda: people()._asdict(), "Run": of(training=INK, test=INK, answers=LABELS),
    "PictureSet": of(pictures=PICTURES, labels=None, names=[]),
    "balanced_pairs": of(labels=LABELS, count=4, seed=0), "batches": of(
        arrays=(VECTORS, LABELS), batch_size=2, rng=0), "prefetch": of(iterable=[1, 2]),
    "captioned": of(picture=PICTURE, text="a picture"), "crop_middle": of(picture=PICTURE,
                                                                          share=0.5),
    "decode_image": lambda: {"file": open(folder() / "picture.png", "rb"), "name": "picture.png"},
    "drawn_characters": of(alphabets=1, characters=1, drawers=1, size=16),
    "drawn_faces": of(people=1, pictures=1, size=16), "emoji": of(size=8),
    "fashion_mnist": at("folder=idx"), "list_images": at("folder=plain"),
    "load_idx_dataset": at("folder=idx"), "load_image": at("path=picture.png", size=4),
    "mnist": of(), "mnist_digits": of(), "names_of": lambda: {"pairs": pairs()},
    "pairs_of": lambda: {"people": people(), "count": 4, "seed": 0},
    "photographs": of(sets=("foolbox",)),
    "read_characters": lambda: {"sources": (folder() / "letters",)},
    "read_idx": at("path=idx/t10k-labels-idx1-ubyte"), "read_metadata": at("path=picture.png"),
    "read_pairs": lambda: {"file": folder() / "pairs.csv", "folder": folder() / "people"},
    "read_people": at("folder=people"), "read_pictures": at("folder=plain", size=4),
    "read_runs": at("folder=runs"), "resize": of(picture=PICTURE, size=4),
    "save_image": at("path=out.png", picture=PICTURE, metadata={"a": "b"}),
    "split_people": lambda: {"people": people(), "share": 0.5, "seed": 0, "apart": None},
    "write_drawn_faces": at("folder=drawn", people=1, pictures=1, size=16),
    "write_pairs": lambda: {"file": folder() / "out.csv", "pairs": pairs(),
                            "folder": folder() / "people"}}

PAIRED, RECOGNIZED = of(distances=DISTANCES, same=SAME), of(
    distances=TABLE, query_people=LABELS, gallery_people=LABELS)
FACES = {
    "AbsoluteDifferenceHead": of(features=4), "ChiSquareHead": of(features=4),
    "CosineClassifier": of(features=4, people=3, rng=0), "CollapseMonitor": of(margin=0.2, steps=2),
    "Calibration": of(threshold=0.5, false_accepts=1, different_pairs=4, false_refusals=1,
                      same_pairs=4),
    "Face": lambda: vars(FACE).copy(), "Gallery": lambda: {
        "encoder": encoder(), "impostors": IMPOSTORS},
    "Impostors": lambda: vars(IMPOSTORS).copy(), "Match": of(
        name="Ann", nearest="Ann", distance=0.1, runner_up=None, runner_up_distance=1.0,
        threshold=0.5),
    "Model": at("name=encoder.npz"), "OpenSet": of(
        thresholds=DISTANCES, detection_rates=DISTANCES, false_alarm_rates=DISTANCES),
    "OperatingPoint": of(threshold=0.5, false_accept_rate=0.1, true_accept_rate=0.9),
    "PeopleSampler": of(labels=LABELS, people=2, pictures=2, seed=0),
    "PictureSampler": of(labels=LABELS, pictures=2, seed=0), "Result": of(), "Roc": of(
        thresholds=DISTANCES, false_accept_rates=DISTANCES, true_accept_rates=DISTANCES),
    "Step": of(number=1, total=2, stage="triplet", loss=0.1, learning_rate=0.1, measures={}),
    "TenFold": of(accuracy=0.9, standard_error=0.1, interval=(0.8, 1.0), thresholds=DISTANCES,
                  accuracies=DISTANCES),
    "Verification": of(claimed="Ann", accepted=True, distance=0.1, runner_up=None,
                       runner_up_distance=1.0, threshold=0.5),
    "accuracy": of(distances=DISTANCES, same=SAME, threshold=0.5), "aligned": of(
        pictures=[], size=8), "all_triplets": of(labels=LABELS), "auc": PAIRED,
    "batch_hard": of(labels=LABELS, distances=TABLE), "best_threshold": PAIRED,
    "chip": of(picture=PICTURE, landmarks=LANDMARKS, size=8), "chip_transform": of(
        landmarks=LANDMARKS, size=8), "cmc": RECOGNIZED,
    "distance": of(a=VECTORS, b=VECTORS), "draw_faces": at(
        "path=faces.png", picture=PICTURE, boxes=[[1, 1, 7, 7]], texts=["Ann"], known=[True]),
    "encode": lambda: {"encoder": encoder(), "images": [PICTURE], "align": False},
    "equal_error_rate": PAIRED, "find": of(picture=PICTURE), "fingerprint": lambda: {
        "encoder": encoder()}, "hard_pairs": of(labels=LABELS, distances=TABLE),
    "intersection_over_union": of(a=[[0, 0, 2, 2]], b=[[1, 1, 3, 3]]),
    "keep_apart": of(labels=LABELS, share=0.5, seed=0), "measure": of(
        embeddings=VECTORS, near=DISTANCES, far=DISTANCES, losses=DISTANCES),
    "mine": of(strategy="semi_hard", labels=LABELS, distances=TABLE, margin=0.2, rng=0),
    "non_maximum_suppression": of(boxes=[[0, 0, 2, 2], [1, 1, 3, 3]], scores=[0.5, 0.9],
                                  overlap=0.5),
    "one_face": of(faces=[FACE], at=(4.0, 4.0)),
    "open_set": of(distances=TABLE, query_people=LABELS + 2, gallery_people=LABELS),
    "pictures_of": of(labels=LABELS), "prepare": of(image=PICTURE, size=4, channels=1),
    "random_triplets": of(labels=LABELS, rng=0), "rank_one": RECOGNIZED, "roc": PAIRED,
    "semi_hard": of(labels=LABELS, distances=TABLE), "separation": of(
        embeddings=VECTORS, labels=LABELS), "similarity": of(source=POINTS, target=POINTS),
    "split_for_training": lambda: {"people": data.People(
        list("abcdefghijklmnop"), np.repeat(np.arange(8), 2), list("ABCDEFGH")), "seed": 0,
        "share": 0.3, "pairs": None},
    "squared_distances": of(a=VECTORS, b=VECTORS), "ten_fold": of(
        distances=DISTANCES, same=SAME, folds=2, people=None),
    "train": face_training, "val_at_far": of(distances=DISTANCES, same=SAME, far=0.1),
    "wilson_interval": of(successes=3, trials=5)}

GAN = {
    "DiffAugment": of(parts=("brightness",)), "Discriminator": of(
        size=8, channels=1, width=1, rng=0), "Game": of(),
    "Generator": of(size=8, channels=1, noise=2, width=1, rng=0),
    "Judge": of(size=8, channels=1, classes=2, rng=0), "Laboratory": lambda: {
        "shape": mixtures.ring(3), "recipe": laboratory().recipe, "seed": 0, "judged": 8,
        "rows": 1},
    "Mixture": lambda: vars(mixtures.ring(3)).copy(), "PictureRecipe": of(steps=1),
    "Recipe": of(steps=1), "SpectralNorm": lambda: {"layer": nn.Dense(2, 3, rng=0), "rng": 0},
    "Training": training_of_pictures, "game": of(name="hinge"),
    "gradient_penalty": of(score=score, real=VECTORS, fake=VECTORS + 1, rng=0),
    "load_generator": at("path=generator.npz"), "r1": of(score=score, real=VECTORS),
    "r2": of(score=score, fake=VECTORS), "save_generator": lambda: {
        "path": folder() / "out.npz", "generator": generator(), "notes": {"a": 1}},
    "spectral_norm": of(w=VECTORS, u=VECTORS[:, 0], v=VECTORS[0]), "train_judge": of(
        pictures=GREYS, labels=LABELS, classes=4, steps=1, batch=2, callback=lambda loop: None)}

MODELS = {
    "CharacterEncoder": of(size=8, widths=(2, 2, 2), rng=0), "FaceLandmarks": of(blocks=1, count=1),
    "FaceResNet": resnet, "Mirrored": lambda: {"encoder": encoder()}, "SSDFaceDetector": of(),
    "SiameseEncoder": of(size=16, channels=1, border=0, widths=(2,), features=4, nonnegative=False,
                         seed=0), "TinyFaceDetector": of(), "VGG": vgg_blocks,
    "character_encoder": at("weights=characters.npz"), "face128": of(), "face_landmarks": of(),
    "load_encoder": at("path=encoder.npz"), "save_encoder": lambda: {
        "path": folder() / "out.npz", "encoder": encoder(), "notes": {"threshold": 0.5}},
    "siamese_encoder": of(size=16, border=0, widths=(2,), features=4), "ssd_face_detector": of(),
    "tiny_face_detector": of(), "tiny_face_landmarks": of(), "vgg16": at("weights=arrays.npz"),
    "vgg19": of()}

ONESHOT = {
    "OneShot": of(accuracy=0.5, interval=(0.4, 0.6), accuracies=DISTANCES),
    "Step": of(number=1, loss=0.1, accuracy=0.5, learning_rate=0.1), "distances": lambda: {
        "encoder": models.CharacterEncoder(8, (2, 2, 2), rng=0), "examples": INK[:2],
        "questions": INK[:2], "views": oneshot.VIEWS[:1]},
    "draw_one_shot": of(labels=LABELS, ways=2, trials=1, rng=0), "draw_runs": lambda: {
        "characters": characters(), "count": 1, "classes": 2, "seed": 0},
    "encode_characters": lambda: {"encoder": models.CharacterEncoder(8, (2, 2, 2), rng=0),
                                  "pictures": INK[:2], "views": oneshot.VIEWS[:1]},
    "episode_loss": of(encodings=VECTORS.reshape(4, 2, 4)), "examine": lambda: {
        "encoder": models.CharacterEncoder(8, (2, 2, 2), rng=0),
        "runs": {"run01": data.Run(INK[:2], INK[2:4], np.array([0, 1]))},
        "views": oneshot.VIEWS[:1]},
    "one_shot": of(runs=((TABLE, np.arange(8)),)), "train": lambda: {
        "encoder": models.CharacterEncoder(8, (2, 2, 2), rng=0), "characters": characters(),
        "steps": 1, "classes": 2, "callback": lambda step: None}}

ACTIVATIONS = PICTURES[:1] / np.float32(255)
STYLE = {
    "Evaluation": lambda: vars(evaluation()).copy(), "Objective": lambda: {
        "net": net(), "content": md.tensor(PICTURES[:1], dtype="float32"),
        "style": md.tensor(PICTURES[1:2], dtype="float32"), "content_weight": 1.0,
        "style_weight": 1.0, "content_layers": ["relu2"], "style_layers": ["relu1"]},
    "Page": at("path=page.html", settings={"size": 8}), "Result": of(
        image=PICTURE, history=[], interrupted=False, picture=PICTURE, stretched=0.0),
    "Settings": of(size=16, steps=1), "check_settings": of(settings={"size": 16, "steps": 1}),
    "content_cost": of(a_content=ACTIVATIONS, a_generated=ACTIVATIONS + 1),
    "converted": of(tool="lecture", content_weight=1.0, style_weight=1.0),
    "gram_matrix": of(a=ACTIVATIONS), "load_state": at("path=state.npz"), "luminance": of(
        picture=PICTURE / 1.0), "match_colors": of(style=PICTURE / 1.0, content=PICTURES[1] / 1.0),
    "match_luminance": of(style=PICTURE / 1.0, content=PICTURES[1] / 1.0), "preview": lambda: {
        "content": PICTURE, "style": PICTURES[1], "looks": ["strong"], "style_scales": [1.0],
        "size": 16, "steps": 1, "callback": lambda evaluation: None, "options": {
            "net": net(), "content_layers": ["relu2"], "style_layers": ["relu1"]}},
    "save_state": lambda: {"path": folder() / "out.npz", "state": evaluation().state},
    "style_cost": of(a_style=ACTIVATIONS, a_generated=ACTIVATIONS + 1), "style_layer_cost": of(
        gram_style=np.ones((1, 3, 3), "float32"), a_generated=ACTIVATIONS),
    "total_variation": of(x=ACTIVATIONS), "transfer": lambda: {
        "content": PICTURE, "style": PICTURES[1], "masks": None, "style_masks": None, "net": net(),
        "callback": lambda evaluation: None, "resume": None, "settings": {
            name: value for name, value in PAINTING().items() if name != "net"}},
    "with_chroma": of(picture=PICTURE / 1.0, content=PICTURES[1] / 1.0)}

TRAINING = {
    "indices": of(t=1, n=8, batch_size=2, seed=0),
    "jointly": lambda: {"f": dense(), "inputs": (VECTORS[:, :2],)},
    "Best": lambda: {"module": dense()}, "Checkpoint": lambda: {
        "path": folder() / "out.npz", "parts": {"net": dense()}, "identity": {"seed": 0}},
    "Loop": loop, "clip_gradients": lambda: {
        "parameters": with_gradient(), "max_norm": 1.0}}

PATCH = of(activation=1.0, picture=0, name="a", position=(1, 1),
           field=visualize.ReceptiveField(3, 1, 0.0))


def with_patch():
    return {"patch": found().patches[0][0], "picture": PICTURE, "layer": "relu1", "unit": 0}


VISUALIZE = {
    "Patch": PATCH, "ReceptiveField": of(size=3, jump=1, start=0.0), "Shown": of(
        unit=0, patches=[], pixels=[], projections=[], synthetic=PICTURE, strength=1.0),
    "TopPatches": lambda: found()._asdict(), "compare": lambda: {
        "net": net(), "other": net()} | with_patch(),
    "contrast": of(projection=PICTURE / 1.0, side=4), "deconvnet": lambda: {
        "net": net(), "picture": PICTURE, "layer": "relu1", "unit": 0, "position": (1, 1),
        "activation": 1.0}, "draw_rows": of(title="a", rows=[("b", [("c", PICTURE)])]),
    "draw_sheet": of(title="a", layers=[("b", [visualize.Shown(0, [], [], [], PICTURE, 1.0)])]),
    "drawn_anew": lambda: {"net": net(), "after": "relu1", "rng": 0},
    "load_patches": at("path=patches.json"), "patch_projection": lambda: {
        "net": net()} | with_patch(),
    "project": lambda: {"net": net(), "picture": PICTURE, "layer": "relu1",
                        "signal": np.ones((8, 8, 2))},
    "rank_correlation": of(a=DISTANCES, b=DISTANCES[::-1]), "save_patches": lambda: {
        "path": folder() / "out.json", "found": found()},
    "strength": lambda: {"net": net(), "picture": PICTURE, "layer": "relu1", "unit": 0, "shifts": 1,
                         "most": 1}, "synthesize": lambda: {
        "net": net(), "layer": "relu1", "unit": 0, "size": 8, "channels": 3, "steps": 1,
        "callback": lambda step, J: None}, "top_patches": lambda: {
        "net": net(), "pictures": list(PICTURES[:2]), "layer": "relu1", "units": [0], "k": 1,
        "callback": lambda number: None}}

LABELLED = {"x": SIGNALS, "labels": LABELS}
CLASSIFICATION = {
    "Block": of(filters=2, kernel_size=3, pool=1, padding=1), "Recipe": of(
        epochs=1, batch=4), "Standard": of(mean=np.zeros(2), deviation=np.ones(2)),
    "active_units": lambda: {"net": classifier(), "x": SIGNALS, "layer": "relu1", "count": 1},
    "best_thresholds": of(values=SIGNALS[:, 0, 0], labels=LABELS, classes=4),
    "confusion": of(labels=LABELS, answers=LABELS, classes=4),
    "convnet": of(axes=1, channels=2, classes=4, blocks=[classification.Block(2, 3, 2)], size=12,
                  rng=0),
    "interval": of(right=SAME, groups=LABELS[:6], draws=10), "lecture_net": of(axes=1, rng=0),
    "nearest_neighbour": of(asked=SIGNALS, **LABELLED),
    "outputs": lambda: {"net": classifier(), "x": SIGNALS, "layer": "relu1", "batch": 4},
    "score_gradient": lambda: {"net": classifier()} | LABELLED,
    "scores": lambda: {"net": classifier(), "x": SIGNALS, "batch": 4},
    "train": lambda: {"net": classifier(), "recipe": classification.Recipe(1, 4), "callback":
                      lambda loop: None} | LABELLED}

SOLO = distributed.Solo()
DISTRIBUTED = {
    "Communicator": of(), "Solo": of(), "communicator": of(), "joint": of(chosen=SOLO),
    "joint_now": of(), "rows_of": of(n=5, rank=0, size=2), "use": of(chosen=SOLO)}
COMMUNICATION = {
    "all_sum": of(x=VECTORS), "all_gather": of(x=VECTORS), "reduce_scatter": of(
        x=VECTORS, counts=[8]), "broadcast": of(x=VECTORS), "reduce": of(x=VECTORS), "send": of(
        x=VECTORS, to=1), "receive": of(source=1), "dropout": of(x=VECTORS, rate=0.5, rng=0),
    "drawn": of(draw=np.zeros, rows=2), "batch_norm": of(
        x=VECTORS, scale=np.ones(4, "float32"), shift=np.zeros(4, "float32"))}

TESTING = {"draw": lambda: {
    "output": md.tensor(3.0, requires_grad=True) * 2, "file": folder() / "graph.svg",
    "frames": ("sweep",)}}

WEIGHTS = {"fetch": of(name="vgg19"), "load": at(
    "path=arrays.npz"), "save": at("path=out.npz", source={"w": VECTORS})}

MINIDL = {
    "Tensor": of(data=VECTORS), "save": lambda: {"path": folder() / "out.npz", "module": dense()},
    "load": at("path=arrays.npz"), "with_output": of(rule=lambda gy, y: gy * y), "record": of(
        value=VECTORS, inputs=((md.tensor(VECTORS, requires_grad=True), lambda gy: gy),))}

FILES = {"as_path": of(operation="load", argument="path", value="a.png"),
         "atomic_write": at("path=out.bin"), "cache_folder": of(), "locked": at("path=out.bin"),
         "open_file": at("path=picture.png"), "sha256": at("path=picture.png")}

SCHEDULES = {
    "constant": of(t=1), "warm_up": of(t=1, steps=4), "linear": of(t=1, steps=4), "cosine": of(
        t=1, steps=4), "exponential": of(t=1, half_life=4), "staircase": of(
        t=1, milestones=[2, 4]), "inverse_root": of(t=1, warm_up_steps=4), "warm_up_cosine": of(
        t=1, steps=4)}

PQ = of(p=MASSES, q=OTHER_MASSES)
THEORY = {"best_discriminator": PQ, "value": of(p=MASSES, q=OTHER_MASSES, d=MASSES),
          "jensen_shannon": PQ, "total_variation": PQ, "wasserstein_line": of(
              p=MASSES, q=OTHER_MASSES, places=[0, 1, 2]), "bound": of(v=-1.0)}
MEASURES = {
    "Modes": of(modes=1, good_share=1.0, reverse_kl=0.0, rarest_share=1.0), "PrecisionRecall": of(
        precision=1.0, recall=1.0), "Memorisation": of(ratio=1.0, nearest=LABELS),
    "modes": of(samples=POINTS, centres=POINTS[:3], sigma=0.1), "frechet_distance": of(
        a=VECTORS, b=VECTORS), "kernel_distance": of(a=VECTORS, b=VECTORS, size=2, subsets=2,
                                                     rng=0),
    "precision_recall": of(real=VECTORS, fake=VECTORS, k=2), "memorisation": of(
        fake=VECTORS, train=VECTORS, held_out=VECTORS), "nearest": of(
        x=VECTORS, members=VECTORS), "squared_distances": of(x=VECTORS, y=VECTORS)}
MIXTURES = {
    "Mixture": GAN["Mixture"], "mixture": of(name="a", centres=POINTS[:3], sigma=0.1),
    "ring": of(modes=3), "grid": of(side=2), "blobs": of(), "line": of(), "spiral": of(),
    "drawing": of(picture=PICTURE, side=4)}
DIRAC = {"velocity": of(theta=1.0, psi=0.5), "jacobian": of(gamma=0.5), "eigenvalues": of(
    gamma=0.5), "trajectory": of(start=(1.0, 0.0), steps=2)}
DENSITY = {
    "Pushed": of(x=POINTS, log_q=POINTS[:, 0], signs=POINTS[:, 0]),
    "Cells": lambda: density.cells(1.0, 2)._asdict(),
    "push": lambda: {"generator": laboratory().generator, "z": POINTS.astype("float32")},
    "cells": of(reach=1.0, side=2), "real_masses": lambda: {
        "mixture": mixtures.ring(3), "where": density.cells(1.0, 2)}, "counted_masses": lambda: {
        "samples": POINTS, "where": density.cells(1.0, 2)}, "sample": lambda: {
        "generator": laboratory().generator, "n": 2, "rng": 0}}


def album():
    made = gan.training.Album()
    made.pages = {1: PICTURES, 2: PICTURES}
    return {"album": made, "columns": 2}


SAMPLES = {
    "album_sheet": album, "album_frames": album,
    "noise_of": lambda: {"generator": generator(), "n": 2, "rng": 0}, "samples": lambda: {
        "generator": generator(), "n": 2, "rng": 0}, "grid_of_noise": lambda: {
        "generator": generator(), "rows": 1, "rng": 0}, "class_grid": lambda: {
        "generator": generator(), "rows": 1, "rng": 0}, "slerp": of(
        a=VECTORS[0], b=VECTORS[1], t=[0.0, 1.0]), "walks": lambda: {
        "generator": generator(), "rows": 1, "steps": 2, "rng": 0}, "captioned_sheet": of(
        text="a", pictures=PICTURES, columns=2), "stacked": of(sheets=(PICTURE, PICTURE))}

ARGUMENTS = {
    md: MINIDL, classification: CLASSIFICATION, communication: COMMUNICATION, data: DATA,
    distributed: DISTRIBUTED, faces: FACES, gan: GAN, models: MODELS, oneshot: ONESHOT,
    style: STYLE, testing: TESTING, training: TRAINING, visualize: VISUALIZE, weights: WEIGHTS,
    files: FILES, schedules: SCHEDULES, theory: THEORY, measures: MEASURES, mixtures: MIXTURES,
    dirac: DIRAC, density: DENSITY, gan_pictures: SAMPLES}


def filled(ema=None):
    """A Checkpoint whose file is there."""
    made = training.Checkpoint(folder() / "kept.npz", {"net": dense()}, {"seed": 0})
    made.save({"t": 1})
    return made


METHODS = [
    ("classification.Standard", lambda: classification.Standard.of(SIGNALS), {
        "of": of(x=SIGNALS), "__call__": of(x=SIGNALS)}),
    ("classification.Recipe", classification.Recipe, {
        "steps": of(examples=8), "with_epochs": of(epochs=1)}),
    ("distributed.Solo", distributed.Solo, {
        "all_sum": of(x=VECTORS), "all_gather": of(x=VECTORS), "reduce_scatter": of(
            x=VECTORS, counts=[8]), "broadcast": of(x=VECTORS), "reduce": of(x=VECTORS),
        "send": of(x=VECTORS, to=1), "receive": of(source=1), "barrier": of()}),
    ("data.GridAugmentation", lambda: data.GridAugmentation(1, 0.1, (0,), 0.1), {
        "__call__": of(x=SIGNALS, rng=0)}),
    ("data.Augmentation", lambda: data.FACES, {"__call__": of(pictures=PICTURES, rng=0)}),
    ("data.Characters", characters, {"only": of(wanted=["abc"])}),
    ("data.People", people, {"load": of(size=4), "only": of(wanted=["Ann"]), "take": of(
        indices=[0, 1]), "first": of(most=1)}),
    ("data.Pairs", pairs, {"take": of(indices=[0]), "person": lambda: {
        "path": folder() / "people/Ann/1.png"}}),
    ("faces.Gallery", gallery, {
        "enroll": of(name="Eve", images=(PICTURE,)), "enroll_encodings": of(
            names=["Eve"], encodings=VECTORS[4:5]), "verify": of(image=PICTURE, claimed="Ann"),
        "identify": of(image=PICTURE), "identify_all": of(images=[PICTURE]),
        "identify_encodings": of(encodings=VECTORS[:2]), "remove": of(name="Ann"), "rename": of(
            name="Ann", new="Anna"), "save": at("path=out.npz"), "load": at("path=gallery.npz"),
        "use": lambda: {"encoder": encoder()}}),
    ("faces.Impostors", lambda: IMPOSTORS, {
        "measure": of(encodings=VECTORS, labels=LABELS), "of_pairs": of(
            distances=DISTANCES, people=5), "threshold": of(rate=0.01, comparisons=2),
        "rate": of(threshold=0.4, comparisons=2), "hold_for": of(
            encodings=VECTORS, labels=LABELS)}),
    ("faces.OpenSet", lambda: faces.open_set(TABLE, LABELS + 2, LABELS), {
        "at_threshold": of(threshold=0.5), "at_false_alarm_rate": of(rate=0.5)}),
    ("faces.Face", lambda: FACE, {"chip": of(size=8)}),
    ("faces.CollapseMonitor", lambda: faces.CollapseMonitor(0.2, 2), {"look": of(
        loss=0.2, spread=0.5)}),
    ("faces.Model", lambda: faces.Model(folder() / "encoder.npz"), {
        "read": at("path=picture.png"), "see": at("path=picture.png"), "encode": lambda: {
            "paths": [folder() / "picture.png"], "batch": 2}, "see_usable": lambda: {
            "paths": [folder() / "picture.png"]}, "distances": lambda: {"pairs": pairs()}}),
    ("gan.Game", lambda: gan.game("hinge"), {
        "discriminator": of(real=VECTORS[:, 0], fake=VECTORS[:, 1]), "generator": of(
            fake=VECTORS[:, 0], real=None)}),
    ("gan.Laboratory", laboratory, {
        "play": of(callback=lambda loop: None), "points": of(n=2, what=1), "best": of(n=4, side=2),
        "scores": of(places=POINTS), "probabilities": of(places=POINTS), "pulls": of(
            places=POINTS)}),
    ("gan.Mixture", lambda: mixtures.ring(3), {"sample": of(n=2, rng=0), "log_density": of(
        x=POINTS), "density": of(x=POINTS)}),
    ("gan.Training", lambda: gan.Training(**training_of_pictures() | {"checkpoint": None}), {
        "run": of(callback=lambda loop: None)}),
    ("gan.DiffAugment", lambda: gan.DiffAugment("brightness"), {"__call__": of(
        x=ACTIVATIONS, rng=0)}),
    ("style.Objective", lambda: style.Objective(**STYLE["Objective"]()), {
        "__call__": lambda: {"generated": md.tensor(PICTURES[2:3], dtype="float32")}}),
    ("style.Page", lambda: style.Page(folder() / "page.html", {}), {
        "show": lambda: {"evaluation": evaluation()}, "finish": of(image=PICTURE, status="done")}),
    ("training.Best", lambda: training.Best(dense()), {
        "look": of(score=1.0, step=1), "load_state_dict": of(state={})}),
    ("training.Checkpoint", filled, {"save": of(progress={"t": 1})}),
    ("training.EMA", lambda: training.EMA(dense()), {"load_state_dict": lambda: {
        "state": training.EMA(dense()).state_dict()}}),
    ("visualize.Patch", lambda: found().patches[0][0], {"crop": of(picture=PICTURE), "shown": of(
        picture=PICTURE, padding=0)}),
    ("visualize.ReceptiveField", lambda: visualize.ReceptiveField(3, 1, 0.0), {
        "along": of(axes=2), "box": of(position=(1, 1)), "aligned": of(
            position=(1, 1), sizes=(8, 8))})]
