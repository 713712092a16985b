"""Networks with a name."""
from minidl.models.characters import CharacterEncoder, character_encoder
from minidl.models.face_landmarks import FaceLandmarks, face_landmarks, tiny_face_landmarks
from minidl.models.face_resnet import FaceResNet, face128
from minidl.models.siamese import (
    Mirrored,
    SiameseEncoder,
    load_encoder,
    save_encoder,
    siamese_encoder,
)
from minidl.models.ssd_face_detector import SSDFaceDetector, ssd_face_detector
from minidl.models.tiny_face_detector import TinyFaceDetector, tiny_face_detector
from minidl.models.vgg import VGG, vgg16, vgg19
