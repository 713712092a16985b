"""The benchmarks' machinery, on cases so small that their times mean nothing, and that every
library does the same work."""
import json
import os
import sys

from benchmarks import __main__ as command
from benchmarks import cases, comparing, libraries, measuring, memory, report, scaling
from benchmarks.case import Case
from benchmarks.convnet import ConvNet
from benchmarks.convolutions import Convolution
from benchmarks.dimensions import Classifier
from benchmarks.networks import DCGAN, Siamese
from benchmarks.small_operations import MLP, Chain, mixed, product
from benchmarks.style import StyleStep
import numpy as np
import pytest

import minidl as md


@pytest.fixture(autouse=True)
def same_threads_afterwards(monkeypatch):
    monkeypatch.setattr(measuring, "SHORTEST", 1e-4)
    monkeypatch.setattr(measuring, "WARM", 1e-4)
    monkeypatch.setenv("MINIDL_NUM_THREADS", "1")           # to be put back
    before = libraries._blas().info()[0]["num_threads"]
    libraries.use_threads(1)
    yield
    libraries.use_threads(before)


def convolutions():
    shapes = [((2, 7, 6, 4), 3, 6, {"stride": 2, "groups": 2}), ((2, 9, 3), 5, 4, {"dilation": 2}),
              ((1, 5, 4, 6, 2), 1, 3, {})]
    return [Convolution(what, *shape, **options) for *shape, options in shapes
            for what in ("conv", "conv_input", "conv_weight")]


def small():
    siamese = Siamese()
    siamese.size = 16
    dcgan = DCGAN(16)
    dcgan.batch = 4
    return [siamese, dcgan, ConvNet(), Classifier(1), Classifier(3), StyleStep(32),
            Chain("8 products", 8, 0.5, product), Chain("8 mixed", 8, [0.5, 2], mixed),
            MLP("MLP", 4, [5, 6, 3]), *convolutions()]


@pytest.mark.parametrize("case", small(), ids=lambda case: case.name)
def test_all_libraries_do_the_same_work(case):
    versions, _ = libraries.installed("cpu")
    steps = {label: make() for label, make in case.contestants(versions).items()}
    assert "minidl" in steps
    assert ("torch" in versions) == any(label.startswith("PyTorch") for label in steps)
    counted = comparing.check(case.name, steps)
    for label, step in steps.items():                       # and can be repeated
        assert np.isfinite(libraries.to_host(step())).all(), label
    # PyTorch forgets the groups in conv_weight
    if case.operations and counted and case.groups == 1:
        assert counted == case.operations


def test_names_are_unique_and_cases_are_found():
    for quick in False, True:
        names = [case.name for case in cases.cases(quick)]
        assert len(set(names)) == len(names)
        assert all(cases.find(name, quick).name == name for name in names)
    assert [case.name for case in cases.chosen(["style STEP 256"])] == ["style step 256²"]
    assert len(cases.chosen(["style", "dcgan"])) == 5
    assert len(cases.chosen([])) == len(cases.cases())


class Slow(Case):
    """Twice as slow in "PyTorch" as in minidl, by the clock of the test."""
    name, section, layouts = "slow", "test", ("default",)
    clock, minidl_gives = 0.0, 1.0

    def step(self, seconds, value):
        def call():
            Slow.clock += seconds
            return np.float32(value)
        return call

    def minidl(self):
        return self.step(1.0, self.minidl_gives)

    def torch(self, layout):
        return self.step(2.0, 1.0)

    def mygrad(self):
        return self.step(5.0, 1.0)


@pytest.fixture
def clock(monkeypatch):
    monkeypatch.setattr(measuring.time, "perf_counter", lambda: Slow.clock)
    monkeypatch.setattr(comparing, "matrix_product", lambda device: (Slow().step(0.5, 1.0), 10))
    monkeypatch.setattr(comparing, "count_operations", lambda step: (step(), 8))


def test_ratios_and_rates(clock):
    record = comparing.compare(Slow(), ["minidl", "torch", "mygrad"], repeat=3)
    assert record["ratios"] == {"PyTorch": 2.0, "MyGrad": 5.0}
    other = record | {"product_rate": 100.0}
    comparing.relate_to_product([record, other, other])         # by the median rate
    assert record["product_rate"] == 10 / 0.5 and record["of_matmul"] == 8 / 1.0 / 100
    assert record["seconds"]["minidl"] == {"median": 1.0, "lower": 1.0, "upper": 1.0,
                                           "samples": [1.0] * 3}
    assert "PyTorch 2.00×   MyGrad 5.00×" in report.line(record)
    assert "| 8% |" in report.against_pytorch([record])


def test_libraries_take_turns(clock):
    order = []
    steps = {name: lambda name=name: order.append(name) or Slow().step(1.0, 0)() for name in "AB"}
    measuring.interleaved(steps, 3)
    # to learn how long they take; then one for nothing
    assert order == list("AB") + list("AABB") * 3


def test_a_case_that_differs_is_an_error(clock, monkeypatch):
    monkeypatch.setattr(Slow, "minidl_gives", 1.01)
    with pytest.raises(comparing.Disagreement, match="slow: .* minidl 1.01, PyTorch default 1"):
        comparing.compare(Slow(), ["minidl", "torch"], repeat=1)
    monkeypatch.setattr(Slow, "minidl_gives", float("nan"))
    with pytest.raises(comparing.Disagreement):
        comparing.compare(Slow(), ["minidl", "torch"], repeat=1)


def test_algorithms_are_chosen_for_the_call_only(monkeypatch):
    for before in None, "auto":
        monkeypatch.delenv("MINIDL_CONV", raising=False)
        if before:
            monkeypatch.setenv("MINIDL_CONV", before)
        assert comparing.with_algorithm("plain", lambda: os.environ["MINIDL_CONV"])() == "plain"
        assert os.environ.get("MINIDL_CONV") == before


def test_the_whole_run(monkeypatch, capsys, tmp_path):
    pytest.importorskip("matplotlib")
    some = [convolutions()[0], Chain("8 products of scalars", 8, 0.5, product),
            MLP("MLP", 4, [5, 6, 3])]
    monkeypatch.setattr(command, "chosen", lambda words, quick: some)
    files = tmp_path / "all.json", tmp_path / "chart.png"
    command.main(["--only", "these", "--repeat", "2", "--threads", "1", "--algorithms", "plain",
                  "auto", "--readme",
                  "--json", str(files[0]), "--chart", str(files[1])])
    shown = capsys.readouterr()
    written = json.loads(files[0].read_text())
    assert [case["name"] for case in written["cases"]] == [case.name for case in some]
    assert {"minidl plain", "minidl auto"} < set(written["cases"][0]["seconds"])
    assert written["cases"][0]["best"]["minidl"] == "minidl auto"
    assert all(len(times["samples"]) == 2 for case in written["cases"]
               for times in case["seconds"].values())
    assert written["machine"]["threads"] == 1 and written["machine"]["libraries"]["minidl"]
    if "torch" in written["machine"]["libraries"]:
        assert all(case["ratios"]["PyTorch"] > 0 for case in written["cases"])
        assert "| PyTorch / minidl |" in shown.out
        assert "| MINIDL_CONV | plain | auto | PyTorch |" in shown.out
    assert files[1].read_bytes().startswith(b"\x89PNG")
    assert shown.out.startswith("1 threads on ") and all(case.name in shown.err for case in some)


def test_a_library_that_is_not_there_is_a_line(monkeypatch):
    load = libraries.load
    monkeypatch.setattr(libraries, "load",
                        lambda module: load("no_such_library" if module == "torch" else module))
    versions, skipped = libraries.installed("cpu")
    assert "minidl" in versions and "torch" not in versions
    assert "PyTorch is skipped: it is not installed (pip install torch)" in skipped


@pytest.mark.skipif("gpu" in md.devices(), reason="there is a GPU")
def test_without_a_gpu_it_says_so(capsys):
    with pytest.raises(SystemExit):
        command.main(["--device", "gpu"])
    assert "device 'gpu'" in capsys.readouterr().err


@pytest.mark.parametrize("arguments, words", [
    (["--only", "nonsense"], "no case has nonsense"), (["--repeat", "0"], "at least 1"),
    (["--threads", "0"], "at least 1")])
def test_mistakes_are_reported(capsys, arguments, words):
    with pytest.raises(SystemExit) as stopped:
        command.main(arguments)
    assert stopped.value.code == 2 and words in capsys.readouterr().err


def test_the_list(capsys):
    command.main(["--list", "--quick"])
    assert capsys.readouterr().out.split("\n")[:2] == ["style step 128²", "style step 256²"]


def test_memory_is_measured_in_another_process():
    peaks = memory.peaks(ConvNet(), ["minidl"], "cpu", 1, True)
    assert list(peaks) == ["minidl"]
    if sys.platform == "linux":
        # its activations alone are 128 · 28² · 16 · 2 · 4 bytes
        assert 5e6 < peaks["minidl"]["steps"] < peaks["minidl"]["process"] < 1e9
    assert "MB | – | – |" in report.of_memory({"convnet": peaks})


def test_scaling():
    def record(size, seconds):
        return {"name": f"style step {size}²", "best": {"minidl": "minidl"},
                "seconds": {"minidl": {"median": seconds}}}

    found = scaling.per_pixel([record(128, 0.016384), record(256, 0.131072), {"name": "another"}])
    assert found == [(128, 1.0, 1.0), (256, 2.0, 2.0)]
    assert "| 256² | 2.00 µs | 2.00 |" in report.of_scaling(found)
    speed_ups = scaling.threads(["minidl"], 2, 16, 1)
    assert list(speed_ups) == ["minidl"] and speed_ups["minidl"]["speed-up"] > 0
    assert "| minidl |" in report.of_threads({"count": 2, "size": 16, "speed-ups": speed_ups})
