"""Faces: they are found and aligned; an encoder is trained, then used: who is it, and is it who
they say?

From a picture to faces
    find, Face                  the faces in a picture: box, score, landmarks, chip
    one_face                    the one that is meant
    aligned                     the chips of pictures that each show one face
    chip, chip_transform, similarity    a face upright in a square, and the transform behind it
    intersection_over_union, non_maximum_suppression    how much boxes overlap; one box a face
    draw_faces                  a picture with its faces marked
From faces to encodings
    encode, prepare             f(x) of pictures; a picture as an encoder takes it
    fingerprint                 what tells one encoder from another
    Model                       an encoder by its name, and pictures shown to it as it wants
    distance, squared_distances     between embeddings, row by row; of all pairs
Who is it?
    Gallery                     people and their encodings: enroll, verify, identify
    Match, Verification         its answers
    Impostors                   how near other people come, from which τ follows
    calibrate, Calibration      τ for pairs, and what it costs
How good is it?
    accuracy, best_threshold    the share of pairs judged rightly; the τ of the highest
    roc, Roc, auc, equal_error_rate     both rates at every τ, the area, where they meet
    val_at_far, OperatingPoint  true accepts at a false accept rate
    ten_fold, TenFold           LFW's protocol
    wilson_interval             what so few trials tell of a rate
    cmc, rank_one, open_set, OpenSet    recognition among K people, and of strangers
Training
    train, Step, Result         triplets, contrastive, or pairs
    separation                  P(two of one person are nearer than two of two)
    split_for_training          people to learn from, to choose by, to be asked later
    PeopleSampler, PictureSampler, pictures_of, keep_apart      which pictures make a batch
    mine, all_triplets, random_triplets, semi_hard, batch_hard, hard_pairs      which triplets
    AbsoluteDifferenceHead, ChiSquareHead, CosineClassifier     what stands on top of an encoder
    measure, CollapseMonitor    what a loss is doing; whether it has collapsed
Pictures and tables (each a module with its own help())
    plots                       what an encoder does, as pictures
    report                      all its figures at once
"""
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

__all__ = ["AbsoluteDifferenceHead", "Calibration", "ChiSquareHead", "CollapseMonitor",
           "CosineClassifier", "Face", "Gallery", "Impostors", "Match", "Model", "OpenSet",
           "OperatingPoint", "PeopleSampler", "PictureSampler", "Result", "Roc", "Step", "TenFold",
           "Verification", "accuracy", "aligned", "all_triplets", "auc", "batch_hard",
           "best_threshold", "calibrate", "chip", "chip_transform", "cmc", "distance", "draw_faces",
           "encode", "equal_error_rate", "find", "fingerprint", "hard_pairs",
           "intersection_over_union", "keep_apart", "measure", "mine", "non_maximum_suppression",
           "one_face", "open_set", "pictures_of", "plots", "prepare", "random_triplets", "rank_one",
           "report", "roc", "semi_hard", "separation", "similarity", "split_for_training",
           "squared_distances", "ten_fold", "train", "val_at_far", "wilson_interval"]
