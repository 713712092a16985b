"""Pictures, signals, volumes, data sets and minibatches."""
from .augmentation import DRAWINGS, FACES, Augmentation, contact_sheet
from .batches import batches, prefetch
from .captions import captioned
from .datasets import Dataset, fashion_mnist, load_idx_dataset, mnist, mnist_digits, read_idx
from .drawn_characters import drawn_characters
from .drawn_faces import drawn_faces, write_drawn_faces
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

__all__ = ["Augmentation", "Characters", "DRAWINGS", "Dataset", "FACES", "Pairs", "People",
           "PictureSet", "Run", "balanced_pairs", "batches", "captioned", "contact_sheet",
           "crop_middle", "decode_image", "drawn_characters", "drawn_faces", "emoji",
           "fashion_mnist", "list_images", "load_idx_dataset", "load_image", "mnist",
           "mnist_digits", "names_of", "pairs_of", "photographs", "prefetch", "read_characters",
           "read_idx", "read_metadata", "read_pairs", "read_people", "read_pictures", "read_runs",
           "resize", "save_image", "split_people", "write_drawn_faces", "write_pairs"]
