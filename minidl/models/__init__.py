"""Networks with a name."""
from minidl.models.vgg import VGG, vgg16, vgg19
