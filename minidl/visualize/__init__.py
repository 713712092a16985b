"""What do deep ConvNets learn?  What a unit sees, and what makes it most active.

What it sees (fields.py)
    receptive_fields, ReceptiveField    size, jump and start of every layer, in pixels
What makes it most active (patches.py)
    top_patches, TopPatches, Patch      the k strongest patches of many pictures
    save_patches, load_patches  their file
What in the picture did so (projection.py)
    deconvnet, project          one activation, or any signal, brought back to the pixels
    patch_projection            a patch's activation, over the patch
    drawn_anew, compare, rank_correlation       how much of it is due to the upper layers
What it looks for (synthesis.py)
    synthesize                  a picture that makes it as active as can be
    strength                    how active it is, over random shifts
Sheets (sheet.py)
    draw_sheet, Shown           units side by side, with all of these
    draw_rows                   rows of pictures with captions
    contrast, GREY              a projection as a picture, 0 as grey
"""
from minidl.visualize.fields import ReceptiveField, receptive_fields
from minidl.visualize.found import Patch, TopPatches, load_patches, save_patches
from minidl.visualize.patches import top_patches
from minidl.visualize.projection import deconvnet, patch_projection, project
from minidl.visualize.sanity import compare, drawn_anew, rank_correlation
from minidl.visualize.sheet import GREY, Shown, contrast, draw_rows, draw_sheet
from minidl.visualize.synthesis import strength, synthesize

__all__ = ["GREY", "Patch", "ReceptiveField", "Shown", "TopPatches", "compare", "contrast",
           "deconvnet", "draw_rows", "draw_sheet", "drawn_anew", "load_patches", "patch_projection",
           "project", "rank_correlation", "receptive_fields", "save_patches", "strength",
           "synthesize", "top_patches"]
