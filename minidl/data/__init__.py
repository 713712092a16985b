"""Pictures, data sets and minibatches.

Pictures as arrays: uint8 (H, W, 3), RGB in 0..255, upright (images.py)
    load_image, decode_image    of a file; of a file that is already open
    save_image                  in the format that the name's ending says
    read_metadata               the text kept inside a PNG
    list_images                 the pictures in a folder
    resize, crop_middle         resampled; the middle share of each side
    captioned                   with a line of text above it
Minibatches (batches.py)
    batches                     aligned arrays, a minibatch at a time, in order or shuffled
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
People on photographs (people.py)
    read_people, People         a folder for each person
    split_people                in two parts, nobody in both
    balanced_pairs, pairs_of    as many pairs of one person as of two: of labels, of People
    read_pairs, write_pairs, Pairs, names_of            pairs of pictures in a table
    drawn_faces, write_drawn_faces                      faces invented by a generator
Handwritten characters (omniglot.py)
    read_characters, Characters     alphabets in Omniglot's form
    read_runs, Run              one-shot examinations
    drawn_characters            characters invented by a generator
"""
from .augmentation import DRAWINGS, FACES, Augmentation, contact_sheet
from .batches import batches, prefetch
from .captions import captioned
from .datasets import Dataset, fashion_mnist, load_idx_dataset, mnist, mnist_digits, read_idx
from .drawn_characters import drawn_characters
from .drawn_faces import drawn_faces, write_drawn_faces
from .emoji import emoji
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

__all__ = ["Augmentation", "Characters", "DRAWINGS", "Dataset", "FACES", "Pairs", "People",
           "PictureSet", "Run", "balanced_pairs", "batches", "captioned", "contact_sheet",
           "crop_middle", "decode_image", "drawn_characters", "drawn_faces", "emoji",
           "fashion_mnist", "list_images", "load_idx_dataset", "load_image", "mnist",
           "mnist_digits", "names_of", "pairs_of", "photographs", "prefetch", "read_characters",
           "read_idx", "read_metadata", "read_pairs", "read_people", "read_pictures", "read_runs",
           "resize", "save_image", "split_people", "write_drawn_faces", "write_pairs"]
