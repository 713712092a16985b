"""Pictures, signals, volumes, data sets and minibatches.

Pictures as arrays: uint8 (H, W, 3), RGB in 0..255, upright (images.py)
    load_image, decode_image    of a file; of a file that is already open
    save_image                  in the format that the name's ending says
    read_metadata               the text kept inside a PNG
    list_images                 the pictures in a folder
    resize, crop_middle         resampled; the middle share of each side
    captioned                   with text above it
Minibatches (batches.py)
    batches                     arrays, a minibatch at a time, in order or shuffled alike
    prefetch                    the next items are made while a step is taken
The same picture seen otherwise (augmentation.py)
    Augmentation                at random: turned, moved, zoomed, lit, blurred, covered
    FACES, DRAWINGS             settings for faces and for drawings
    contact_sheet               a batch on one sheet
Data sets that are fetched
    mnist, mnist_digits, fashion_mnist      digits, 5,000 of them, and clothes
    Dataset                     pictures and labels, for training and for testing
    read_idx, load_idx_dataset  a file, and a data set, in MNIST's form
    photographs                 some 700 photographs
    emoji                       some 1,000 coloured pictures
Folders of one's own (picture_sets.py)
    read_pictures, PictureSet   pictures, or labelled folders of them, as one array of squares
People on photographs
    read_people, People         a folder for each person (people.py)
    balanced_pairs, pairs_of    as many pairs of one person as of two: of labels, of People
    read_pairs, write_pairs, Pairs, names_of            pairs of pictures in a table (pairs.py)
    split_people                in two parts, nobody in both
    drawn_faces, write_drawn_faces                      faces invented by a generator
Handwritten characters (omniglot.py)
    read_characters, Characters     alphabets in Omniglot's form
    read_runs, Run              one-shot examinations
    drawn_characters            characters invented by a generator
Signals
    read_ts, Series             a file in the text form of time series (series.py)
    japanese_vowels             nine men say two vowels
    watch_exercises, Exercises, windows     a watch on the wrist; pieces of recordings (watch.py)
    drawn_beats                 heartbeats invented by a generator
    recorded_ecgs, read_ecg, Recording      electrocardiograms (ecg.py)
    find_beats, levelled        their beats, each by its own level and spread
Volumes
    read_nifti, Volume          a file of the form NIfTI-1
    mni_brain, read_brain, Brain            a brain, and which tissue is where
    tubes_and_balls             two shapes in noise
    GridAugmentation            signals, pictures, volumes at random: moved, scaled, mirrored, noisy
"""
from .augmentation import DRAWINGS, FACES, Augmentation, contact_sheet
from .batches import batches, prefetch
from .brain import Brain, mni_brain, read_brain
from .captions import captioned
from .datasets import Dataset, fashion_mnist, load_idx_dataset, mnist, mnist_digits, read_idx
from .drawn_beats import drawn_beats
from .drawn_characters import drawn_characters
from .drawn_faces import drawn_faces, write_drawn_faces
from .drawn_tubes import tubes_and_balls
from .ecg import Recording, find_beats, levelled, read_ecg, recorded_ecgs
from .emoji import emoji
from .grid_augmentation import GridAugmentation
from .images import (
    crop_middle,
    decode_image,
    list_images,
    load_image,
    read_metadata,
    resize,
    save_image,
)
from .nifti import Volume, read_nifti
from .omniglot import Characters, Run, read_characters, read_runs
from .pairs import (
    Pairs,
    balanced_pairs,
    names_of,
    pairs_of,
    read_pairs,
    split_people,
    write_pairs,
)
from .people import People, read_people
from .photographs import photographs
from .picture_sets import PictureSet, read_pictures
from .series import Series, japanese_vowels, read_ts
from .watch import Exercises, watch_exercises, windows

__all__ = ["Augmentation", "Brain", "Characters", "DRAWINGS", "Dataset", "Exercises", "FACES",
           "GridAugmentation", "Pairs", "People", "PictureSet", "Recording", "Run", "Series",
           "Volume", "balanced_pairs", "batches", "captioned", "contact_sheet", "crop_middle",
           "decode_image", "drawn_beats", "drawn_characters", "drawn_faces", "emoji",
           "fashion_mnist", "find_beats", "japanese_vowels", "levelled", "list_images",
           "load_idx_dataset", "load_image", "mni_brain", "mnist", "mnist_digits", "names_of",
           "pairs_of", "photographs", "prefetch", "read_brain", "read_characters", "read_ecg",
           "read_idx", "read_metadata", "read_nifti", "read_pairs", "read_people", "read_pictures",
           "read_runs", "read_ts", "recorded_ecgs", "resize", "save_image", "split_people",
           "tubes_and_balls", "watch_exercises", "windows", "write_drawn_faces", "write_pairs"]
