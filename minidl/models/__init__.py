"""Networks with a name.

With published weights, which are fetched once
    vgg19, vgg16, VGG           Simonyan and Zisserman's, for style transfer and what it sees
    face128, FaceResNet         dlib's encoder of faces
    ssd_face_detector, SSDFaceDetector      faces of all sizes
    tiny_face_detector, TinyFaceDetector    a smaller one
    face_landmarks, tiny_face_landmarks, FaceLandmarks      68 points of a face
To be trained
    siamese_encoder, SiameseEncoder     an encoder of faces and other pictures
    save_encoder, load_encoder          its file
    Mirrored                    an encoder that sees every picture twice, left and right exchanged
    character_encoder, CharacterEncoder     an encoder of handwritten characters
"""
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

__all__ = ["CharacterEncoder", "FaceLandmarks", "FaceResNet", "Mirrored", "SSDFaceDetector",
           "SiameseEncoder", "TinyFaceDetector", "VGG", "character_encoder", "face128",
           "face_landmarks", "load_encoder", "save_encoder", "siamese_encoder", "ssd_face_detector",
           "tiny_face_detector", "tiny_face_landmarks", "vgg16", "vgg19"]
