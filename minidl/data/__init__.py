"""Pictures, signals, volumes, data sets and minibatches."""
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
from .people import (
    Pairs,
    People,
    balanced_pairs,
    names_of,
    pairs_of,
    read_pairs,
    read_people,
    split_people,
    write_pairs,
)
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
