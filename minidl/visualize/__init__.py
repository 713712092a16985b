"""What do deep ConvNets learn?  What a unit sees, and what makes it most active."""
from minidl.visualize.fields import ReceptiveField, receptive_fields
from minidl.visualize.found import Patch, TopPatches, load_patches, save_patches
from minidl.visualize.patches import top_patches
from minidl.visualize.projection import deconvnet, project
from minidl.visualize.synthesis import strength, synthesize
