"""The plan of the house: what may import what, and that the reading rooms know nothing of speed."""
import ast
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parent.parent / "minidl"
FILES = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
         for path in sorted(ROOT.rglob("*.py"))}

# A file imports from its own floor's room, and from floors below.
FLOORS = [
    ["backend", "files", "names", "notation", "packages"],
    ["parallel", "kernels"],
    ["arraylike", "order", "recording", "rule_errors", "tensor"],
    ["operands", "settings", "states"],
    ["ops"],
    ["nn", "losses", "minimize", "optim", "testing"],
    ["data", "weights"],
    ["models", "training", "plots"],
    ["classification", "faces", "style", "visualize", "gan", "oneshot"],
    ["learn"],
]
FLOOR = {room: i for i, floor in enumerate(FLOORS) for room in floor}

READING_ROOMS = ["arraylike", "classification", "faces", "gan", "losses", "models", "nn", "oneshot",
                 "operands", "ops", "optim", "order", "recording", "rule_errors", "settings",
                 "states", "style", "tensor", "training", "visualize"]

# The numbers that have a name in a reading room, and what they are: none is tuned for speed.
NUMBERS = {
    "classification/networks.py": "numbers of axes",
    "classification/signal_plots.py": "how signals are drawn",
    "classification/volume_plots.py": "how volumes are drawn",
    "faces/alignment.py": "dlib's mean face",
    "faces/calibration.py": "shares of strangers, and how many people and pictures a measurement "
                            "needs",
    "faces/copies.py": "how alike two encodings of one picture are",
    "faces/detection.py": "anchor boxes, as the detectors were trained with them",
    "faces/drawing.py": "how large a picture is drawn",
    "oneshot/episodes.py": "views of a character: degrees, slant, zoom",
    "faces/finding.py": "the sizes at which each detector knows faces, and how boxes are framed",
    "faces/rows.py": "the longest encoding whose square is a float32",
    "faces/model.py": "face128's threshold, and how many pictures wait to be encoded",
    "faces/splitting.py": "how many people a training needs",
    "faces/measured.py": "measured shares of strangers",
    "faces/report.py": "sizes of galleries in a table, and how many strangers make it",
    "gan/plots.py": "colours, and the mass of no sample",
    "gan/report.py": "how many pictures are compared, and how small, where there is no judge",
    "gan/theory.py": "the value at the place of rest, log 4",
    "models/face_landmarks.py": "the architecture, and the mean colour of its training",
    "models/face_resnet.py": "the architecture, and the mean colour of its training",
    "models/pictures.py": "the architecture, and the mean colour of its training",
    "models/ssd_face_detector.py": "the architecture",
    "models/tiny_face_detector.py": "the architecture, and the mean colour of its training",
    "models/vgg.py": "the architecture, and the mean colours of its training",
    "nn/convolution.py": "names of axes",
    "ops/activation.py": "where the normal density is 0 in float64",
    "style/colors.py": "the eye's red, green and blue",
    "style/descent.py": "learning rates, and for how many pixels L-BFGS has memory",
    "style/masks.py": "how far a mask's shape may be off, and what is covered",
    "style/page.py": "seconds between two writings, how large the picture is shown",
    "style/preview.py": "how the grid is drawn",
    "style/pyramid.py": "the smallest size, the growth of sizes, the margin",
    "style/settings.py": "default weights, and how far a resized picture overshoots",
    "style/shares.py": "presets, and the weights of other tools",
    "visualize/sheet.py": "how large tiles and letters are drawn",
}


# The two files of reading rooms that know of several processes.
TOGETHER = "ops/communication.py", "training/processes.py"


def room(name):
    """The room of a file or of a module within minidl: "ops/shape.py", "ops.shape" → "ops"."""
    return re.split(r"[./]", name)[0]


def imported(text):
    """The modules within minidl that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(text)):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = ["minidl." + ".".join(filter(None, (node.module, alias.name)))
                     for alias in node.names]
        for name in names:
            if name.split(".")[0] == "minidl":
                yield name.removeprefix("minidl").lstrip(".")


def goes_up(file, module):
    """Whether a file would import from a floor above its own."""
    here, there = room(file), room(module)
    return here != there and there in FLOOR and FLOOR[there] > FLOOR[here]


def speed(file, text):
    """What in a reading room is there for speed: (line, what)."""
    for module in imported(text):
        shared = file in TOGETHER and module.startswith("parallel.distributed")
        if module.startswith(("parallel", "kernels.fast")) and not shared:
            yield 0, f"imports {module}"
    for number, line in enumerate(text.splitlines(), 1):
        if re.search(r"\bweakref\b", line) or re.search(r"\bstrips?\b(?!\()", line):
            yield number, line.strip()
    tree = ast.parse(text)
    for node in tree.body:
        if isinstance(node, ast.Assign) and file not in NUMBERS and any(
                isinstance(part, ast.Constant) and type(part.value) in (int, float)
                for part in ast.walk(node.value)):
            yield node.lineno, f"a named number: {ast.unparse(node)}"
    for node in ast.walk(tree):
        if (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow)
                and all(isinstance(side, ast.Constant) for side in (node.left, node.right))
                and node.left.value ** node.right.value >= 1000):
            yield node.lineno, f"a large power: {ast.unparse(node)}"


def test_every_room_has_its_floor():
    rooms = {room(file).removesuffix(".py") for file in FILES} - {"__init__"}
    assert {name for name in rooms if name not in FLOOR} == set()


@pytest.mark.parametrize("file", [file for file in FILES if file != "__init__.py"])
def test_imports_go_down(file):
    assert [module for module in imported(FILES[file])
            if goes_up(file.removesuffix(".py"), module)] == []


@pytest.mark.parametrize("file",
                         [file for file in FILES if file.startswith(("parallel", "kernels"))])
def test_threads_know_no_kernel_and_kernels_no_tensor(file):
    above = [module for module in imported(FILES[file])
             if room(module) not in ("parallel", "kernels", "backend")
             or file.startswith("parallel") and room(module) == "kernels"]
    assert above == []


@pytest.mark.parametrize("file", [
    file for file in FILES if room(file).removesuffix(".py") in READING_ROOMS])
def test_a_reading_room_knows_nothing_of_speed(file):
    assert list(speed(file, FILES[file])) == []


def test_processes_are_known_in_two_files():
    text = "from minidl.parallel.distributed import communicator"
    assert list(speed("training/loop.py", text)) and not list(speed(TOGETHER[0], text))
    assert list(speed(TOGETHER[0], "from minidl.parallel.threads import parallel_map"))


@pytest.mark.parametrize("line", [
    "from minidl.parallel.threads import parallel_map",
    "from minidl.kernels.fast.elementwise import elementwise",
    "from minidl.kernels.fast import winograd", "import weakref", "# a strip at a time",
    "BUDGET = 2 ** 21",
    "LARGE = 100", "def f(x):\n    return x.size > 2 ** 16"])
def test_speed_would_be_seen(line):
    assert list(speed("ops/shape.py", line))


def test_the_plan_would_be_seen():
    assert goes_up("ops/shape", "nn.module") and not goes_up("nn/module", "ops.shape")
    text = "from ..nn import module\nimport minidl.ops.shape\nfrom minidl import ops"
    assert list(imported(text)) == ["nn.module", "ops.shape", "ops"]
