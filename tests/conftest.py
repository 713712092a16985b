"""What every test may use: the devices, and Hypothesis' profiles.

HYPOTHESIS_PROFILE=thorough draws eight times as many examples.  Where CI is set, Hypothesis draws
the same ones each time.
"""
import os

import hypothesis
import pytest
import strict_device  # noqa: F401  registers the device "strict"

import minidl as md

same = bool(os.environ.get("CI"))  # where a change is judged, the examples are the same every time
hypothesis.settings.register_profile("quick", deadline=None, print_blob=True, max_examples=25,
                                     derandomize=same)
hypothesis.settings.register_profile("thorough", deadline=None, print_blob=True, max_examples=200,
                                     derandomize=same)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


@pytest.fixture(params=md.devices())
def device(request):
    """Each device in turn, as the one on which arrays are created."""
    md.use_device(request.param)
    yield request.param
    md.use_device("cpu")
