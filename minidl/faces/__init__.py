"""Faces: they are found and aligned; an encoder is trained, then used: who is it, and is it who
they say?"""
from minidl.faces import plots, report
from minidl.faces.alignment import chip, chip_transform, similarity
from minidl.faces.answers import Match, Verification
from minidl.faces.boxes import intersection_over_union, non_maximum_suppression
from minidl.faces.calibration import Calibration, Impostors, calibrate
from minidl.faces.choosing import one_face
from minidl.faces.distances import distance, squared_distances
from minidl.faces.drawing import draw_faces
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
from minidl.faces.finding import Face, aligned, find
from minidl.faces.gallery import Gallery
from minidl.faces.heads import AbsoluteDifferenceHead, ChiSquareHead, CosineClassifier
from minidl.faces.identification import OpenSet, cmc, open_set, rank_one
from minidl.faces.mining import (
    all_triplets,
    batch_hard,
    hard_pairs,
    mine,
    random_triplets,
    semi_hard,
)
from minidl.faces.model import Model
from minidl.faces.monitor import CollapseMonitor, measure
from minidl.faces.sampling import PeopleSampler, PictureSampler, keep_apart, pictures_of
from minidl.faces.splitting import split_for_training
from minidl.faces.training import Result, Step, separation, train
