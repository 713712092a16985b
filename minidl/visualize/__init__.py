"""What do deep ConvNets learn?  What a unit sees, and what makes it most active."""
from minidl.visualize.fields import ReceptiveField, receptive_fields
from minidl.visualize.found import Patch, TopPatches, load_patches, save_patches
from minidl.visualize.patches import top_patches
from minidl.visualize.projection import deconvnet, patch_projection, project
from minidl.visualize.sanity import compare, drawn_anew, rank_correlation
from minidl.visualize.sheet import GREY, Shown, contrast, draw_rows, draw_sheet
from minidl.visualize.synthesis import strength, synthesize
