"""What the commands of demos.visualize share: a network by its name, its pictures, its strongest
patches."""
from functools import cached_property, lru_cache, partial
import hashlib
from pathlib import Path

import numpy as np

from demos.command_line import counting
import minidl as md
from minidl.data import drawn_characters, list_images, load_image, photographs, resize
from minidl.files import cache_folder
from minidl.models import character_encoder, face128, load_encoder, vgg16, vgg19
from minidl.visualize import load_patches, receptive_fields, save_patches, top_patches
from minidl.weights import WeightsError

EVERY = 25                          # pictures after which what was found so far is written
CHARACTERS = 200                    # that are drawn for an encoder of characters
READERS = {"siamese": load_encoder, "characters": character_encoder, "vgg19": vgg19, "vgg16": vgg16,
           "face128": face128}


class Subject:
    """A network that is looked at.

    name: "vgg19" or "face128", pre-trained; or a file that demos.faces or demos.one_shot trained,
        or of VGG's weights.
    data: a folder of pictures, or None for what suits the network; quick: of these, few.
    size: the longer side in pixels that larger pictures are brought to; None: none.
    """

    def __init__(self, name, data=None, quick=False, size=None, seed=0):
        self.name, self.net, self.size = name, read_net(name), size
        self.channels = getattr(self.net, "channels", 3)
        self.fields = {layer: field for layer, field in receptive_fields(self.net).items()
                       if field is not None}
        self.data, self.quick, self.seed, self.drawn = data, quick, seed, {}
        self.read = lru_cache(256)(self._read)

    @cached_property
    def names(self):
        """Of the pictures: paths, or of characters that are drawn."""
        if self.data is not None:
            names = [str(path) for path in list_images(self.data)]
            if not names:
                raise ValueError(f"--data {self.data}: there are no pictures in this folder")
            return names
        if self.channels == 1:
            found = drawn_characters(4, CHARACTERS // (20 if self.quick else 4) // 4, 4,
                                     seed=self.seed)
            self.drawn = {f"drawn{i}": picture[..., None]
                          for i, picture in enumerate(found.pictures)}
            return list(self.drawn)
        paths = photographs(*["tabler"] if self.fixed else ["foolbox"] if self.quick else [])
        if self.fixed:                                  # such networks look at faces: portraits
            paths = [path for path in paths
                     if path.name.startswith(("male-", "female-"))][:20 if self.quick else None]
        return list(map(str, paths))

    @property
    def fixed(self):
        """The size that the network's pictures must have, None for any."""
        return getattr(self.net, "size", None)

    def _read(self, name):
        """A picture as the network is shown it."""
        picture = self.drawn[name] if name in self.drawn else load_image(name)
        if self.size is not None and max(picture.shape[:2]) > self.size:
            picture = resize(picture, self.size)
        if not self.fixed:
            return picture
        from minidl.faces import find
        from minidl.faces.encoding import prepare
        if getattr(self.net, "aligned", False):
            faces = find(picture, whole="auto")
            if not faces:
                raise ValueError(f"{name}: no face was found in it")
            picture = max(faces,
                          key=lambda face: np.prod(face.box[2:] - face.box[:2])).chip(self.fixed)
        return np.rint(prepare(picture, self.fixed, self.channels)).astype(np.uint8)

    def stream(self, stop):
        """(name, function that reads it) of the first pictures."""
        return [(name, partial(self.read, name)) for name in self.names[:stop]]

    def check(self, layer, units, windowed=True):
        """Raise ValueError for a layer or units that it does not have, or units that see more than
        a window."""
        if layer not in self.net:
            raise ValueError(f"--layer {layer} is none of {', '.join(self.net.names)}")
        if windowed and layer not in self.fields:
            raise ValueError(f"--layer {layer}: its units see more than a window of the picture; "
                             f"those of {', '.join(self.fields)} do not")
        unknown = [unit for unit in units if not 0 <= unit < self.count(layer)]
        if unknown:
            raise ValueError(f"--units {unknown[0]}: layer {layer} has the units 0 to "
                             f"{self.count(layer) - 1}")

    def count(self, layer):
        """How many units a layer has."""
        side = self.fixed or 32
        with md.no_grad():
            x = md.tensor(np.zeros((1, side, side, self.channels), "float32"))
            return self.net.eval()(x, layers=[layer])[layer].shape[-1]

    def top(self, layers, k=9, inside=False, quiet=False):
        """{layer: TopPatches} of all units, from the cache as far as they are there.

        Ctrl-C leaves in the cache what was found; the same command goes on from there.
        """
        folder, key = cache_folder() / "visualize", self._key(k, inside)
        folder.mkdir(exist_ok=True)
        paths = {layer: folder / f"{key}-{layer}.json" for layer in layers}
        cached = {layer: found for layer, path in paths.items()
                  if (found := _cached(path)) is not None}
        whole = {layer: found for layer, found in cached.items() if found.taken == len(self.names)}
        waiting = [layer for layer in layers if layer not in whole]
        found = {layer: cached[layer] for layer in waiting if layer in cached}
        if len(found) < len(waiting) or len({one.taken for one in found.values()}) > 1:
            found = {}                              # they begin together
        if waiting:
            found = self._look(waiting, found, paths, k, inside, quiet)
        return {layer: (whole | found)[layer] for layer in layers}

    def _look(self, layers, found, paths, k, inside, quiet):
        """{layer: TopPatches} of all pictures, in one pass, from where `found` ends; kept in the
        paths now and then."""
        done, count = next(iter(found.values())).taken if found else 0, len(self.names)
        with counting(count, f"looking at pictures with {Path(self.name).name}", quiet) as bar:
            bar.update(done)
            for end in [*range(done + EVERY, count, EVERY), count]:
                found = top_patches(self.net, self.stream(end), layers, k=k, inside=inside,
                                    earlier=found or None,
                                    callback=lambda number: bar.update())
                for layer in layers:
                    save_patches(paths[layer], found[layer])
                if found[layers[0]].interrupted:
                    raise KeyboardInterrupt
        return found

    def _key(self, k, inside):
        """SHA-256 of all that decides what is found."""
        digest = hashlib.sha256(f"{k} {inside} {self.size}".encode())
        for name, value in self.net.state_dict().items():
            digest.update(name.encode() + np.ascontiguousarray(value.numpy()).tobytes())
        for name in self.names:
            if name in self.drawn:
                digest.update(self.drawn[name].tobytes())
            else:
                state = Path(name).stat()
                digest.update(f"{name} {state.st_size} {state.st_mtime_ns}".encode())
        return digest.hexdigest()[:24]


def _cached(path):
    """The TopPatches in a file of the cache; None where it is not there, or damaged."""
    try:
        return load_patches(path)._replace(interrupted=False)
    except (OSError, ValueError):
        return None


def read_net(name):
    """The network of that name, or in that file: it is asked each kind that minidl knows."""
    if name in ("vgg19", "face128"):
        return READERS[name](name)
    refused = []
    if not Path(name).exists():
        raise ValueError(f"--model {name}: there is no such file; by name are known vgg19 and "
                         "face128")
    for read in READERS.values():
        try:
            return read(name)
        except (WeightsError, ValueError) as error:
            refused.append(str(error))
    raise ValueError(f"--model {name}: no network of these was found in it: {', '.join(READERS)}; "
                     f"{refused[0]}")
