"""Faces: who is it, and is it who they say?"""
from minidl.faces import plots
from minidl.faces.calibration import Calibration, calibrate
from minidl.faces.encoding import encode, fingerprint, prepare
from minidl.faces.evaluation import (
    OperatingPoint,
    Roc,
    TenFold,
    accuracy,
    auc,
    best_threshold,
    equal_error_rate,
    roc,
    ten_fold,
    val_at_far,
    wilson_interval,
)
from minidl.faces.gallery import Gallery, Match, Verification
from minidl.faces.identification import OneShot, OpenSet, cmc, draw_one_shot, one_shot, open_set, rank_one
