"""What a picture's file asks for beyond its pixels, seen before anything of it is decoded.

The number of pixels bounds what most files cost.  Some forms let a small file ask for more: a
JPEG (also inside a TIFF) decodes all pixels again with each scan, a PNG may consist of endless
tiny chunks, a TIFF of endless tiles or of one that is far larger than the picture, and Pillow
fills up a BMP's short rows pixel by pixel and copies what follows each comment of a PPM in plain
text.  Each function raises ValueError for a file that asks for more than one that is meant to be
looked at.
"""
import re
import struct

SCANS = 100                     # of one JPEG; progressive ones have 10 or so
PASSES = 20                     # how often a JPEG may decode as many pixels as are allowed
CHUNKS = 10_000                 # of a PNG, and one more for each kilobyte
TILES = 100_000                 # tiles or strips of a TIFF
RUN_LENGTH_PIXELS = 4_000_000   # of a BMP with run lengths
COMMENTS = 1_000                # of a PPM in plain text

SOS, EOI = 0xDA, 0xD9
JPEG_COMPRESSIONS = (6, 7)      # of a TIFF
WITHOUT_LENGTH = {0x01, 0xD8}   # markers that stand alone
MARKER = re.compile(rb"\xff+([^\x00\xd0-\xd7\xff])")  # neither a 255 among the data nor a restart


def check_header(file):
    """Look through an open file of PNG, TIFF or PPM, before Pillow does so; other kinds pass."""
    file.seek(0)
    start = file.read(8)
    if start == b"\x89PNG\r\n\x1a\n":
        _check_chunks(file)
    elif start[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        _check_tiles(file, start)
    elif start[:2] in (b"P1", b"P2", b"P3") and file.read().count(b"#") > COMMENTS:
        raise ValueError(f"it has more than {COMMENTS:,} comments")
    file.seek(0)


def check_image(image, file, max_pixels):
    """Look at a Pillow image that is open and not decoded yet, and at its file."""
    pixels = image.size[0] * image.size[1]
    if image.format in ("JPEG", "MPO"):
        file.seek(0)
        _check_scans(_count_scans(file.read()), pixels, max_pixels)
    elif image.format == "TIFF":
        covered = sum((right - left) * (bottom - top)
                      for _, (left, top, right, bottom), *_ in image.tile)
        if image.tile[0][0] == "raw" and image.tag_v2.get(284) == 2:        # one colour at a time
            covered //= len(image.getbands())
        if covered < pixels:            # Pillow would leave the others black
            raise ValueError(f"its strips or tiles hold {covered:,} of its {pixels:,} pixels")
        width, height = (image.tag_v2.get(tag, 0) for tag in (322, 323))
        if width * height > 4 * pixels + 2**20:
            raise ValueError(f"its tiles have {width} x {height} pixels, the picture has "
                             f"{pixels:,}")
        if image.tag_v2.get(259) in JPEG_COMPRESSIONS:
            _check_scans(_count_scans_of_parts(image.tag_v2, file), pixels, max_pixels)
    elif image.format == "BMP" and image.tile[0][0] == "bmp_rle" and pixels > RUN_LENGTH_PIXELS:
        raise ValueError(f"it has {pixels:,} pixels in run lengths, more than "
                         f"{RUN_LENGTH_PIXELS:,}")


def check_frames(image, max_pixels):
    """Look at an animated PNG, of which Pillow decodes every frame to find the text behind them."""
    frames, pixels = getattr(image, "n_frames", 1), image.size[0] * image.size[1]
    if frames > 1 and frames * (pixels + 1000) > max_pixels:    # the smallest takes its time, too
        raise ValueError(f"it is an animation of {frames:,} frames of {pixels:,} pixels")


def _check_scans(scans, pixels, max_pixels):
    if scans > SCANS or scans * pixels > PASSES * max_pixels:
        shown = scans if scans <= SCANS else f"more than {SCANS}"
        raise ValueError(f"its {pixels:,} pixels come in {shown} scans, each of which decodes "
                         "them all")


def _count_scans_of_parts(tags, file):
    """The most scans in any strip or tile of a TIFF, each of which is a JPEG of its own."""
    places, lengths = (tags.get(strips, tags.get(tiles, ()))
                       for strips, tiles in ((273, 324), (279, 325)))
    if sum(lengths) > file.seek(0, 2):
        raise ValueError("its strips or tiles are larger than the file")
    most = 0
    for place, length in zip(places, lengths):
        file.seek(place)
        most = max(most, _count_scans(file.read(length)))
    return most


def _count_scans(data):
    """The scans of a JPEG up to its end, no further than SCANS + 1; where they are few, a bound."""
    if (most := data.count(b"\xff\xda")) <= PASSES:     # one look instead of one at each marker
        return most
    scans, found = 0, MARKER.search(data)
    while found and found[1][0] != EOI and scans <= SCANS:
        scans += found[1][0] == SOS
        place = found.end()
        if found[1][0] not in WITHOUT_LENGTH:
            place += max(2, int.from_bytes(data[place:place + 2], "big"))
        found = MARKER.search(data, place)
    return scans


def _check_chunks(file):
    """A PNG's chunks: a length, a name, as many bytes, and a checksum."""
    allowed = CHUNKS + file.seek(0, 2) // 1024
    file.seek(8)
    for _ in range(allowed):
        head = file.read(8)
        if len(head) < 8 or head[4:] == b"IEND":
            return
        file.seek(int.from_bytes(head[:4], "big") + 4, 1)
    raise ValueError(f"it consists of more than {allowed:,} chunks")


def _check_tiles(file, start):
    """The numbers of strips and tiles in a TIFF's first directory, of 32 or (BigTIFF) 64 bits."""
    order, big = "<" if start[:2] == b"II" else ">", b"+" in start[:4]
    width, head, entry = (8, "Q", "HHQ8x") if big else (4, "H", "HHI4x")
    file.seek(8 if big else 4)
    place = int.from_bytes(file.read(width), "little" if order == "<" else "big")
    if place >= 2**63:
        raise ValueError("its directory lies beyond the end")
    file.seek(place)
    count = file.read(struct.calcsize(order + head))
    size = struct.calcsize(order + entry)
    for _ in range(min(int.from_bytes(count, "little" if order == "<" else "big"), 65_536)):
        description = file.read(size)
        if len(description) < size:
            return
        tag, _, number = struct.unpack(order + entry, description)
        if tag in (273, 279, 324, 325) and number > TILES:
            raise ValueError(f"it consists of {number:,} strips or tiles, more than {TILES:,}")
