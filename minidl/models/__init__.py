"""Networks with a name."""
from minidl.models.characters import CharacterEncoder, character_encoder
from minidl.models.face_resnet import FaceResNet, face128
from minidl.models.siamese import Mirrored, SiameseEncoder, load_encoder, save_encoder, siamese_encoder
from minidl.models.vgg import VGG, vgg16, vgg19
