"""Pictures, data sets and minibatches."""
from .augmentation import DRAWINGS, FACES, Augmentation, contact_sheet
from .batches import batches, prefetch
from .datasets import Dataset, fashion_mnist, load_idx_dataset, mnist_digits, read_idx
from .images import list_images, load_image, read_metadata, resize, save_image

__all__ = ["DRAWINGS", "FACES", "Augmentation", "Dataset", "batches", "contact_sheet", "fashion_mnist", "list_images",
           "load_idx_dataset", "load_image", "mnist_digits", "prefetch", "read_idx", "read_metadata", "resize", "save_image"]
