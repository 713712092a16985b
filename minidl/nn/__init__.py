"""Layers, and the Module that they are made of.  Arrays are channels-last, x (N, *S, C).

A layer is made once, with its sizes, and then called: y = layer(x).

What a network is made of
    Module              a function with parameters, made of other modules
    Parameter           a Tensor that a module learns
    Sequential          layers one after the other, each with a name
    summary             a network as a table
Products
    Dense               x W + b
    Embedding           a learned vector for each index
    Conv1d, Conv2d, Conv3d      convolution of signals, images, volumes
    ConvReLU            Conv2d, then ReLU, in one
    ConvTranspose1d, ConvTranspose2d, ConvTranspose3d           transposed convolution
Pooling
    MaxPool, AveragePool        the largest and the mean of each window
    GlobalMaxPool, GlobalAveragePool            over all positions
Normalisation
    BatchNorm           channel by channel, over the batch
    LayerNorm           example by example, over the features
    GroupNorm, InstanceNorm     example by example, over groups of channels, over one
    ConditionalBatchNorm        batch norm, with a scale and shift for each class
    Normalize           to length 1
    Dropout             random entries set to 0, in training
Nonlinearities
    ReLU, LeakyReLU, ELU, GELU, Softplus        rectifiers
    Sigmoid, Tanh       to (0, 1) and (−1, 1)
    Softmax             to probabilities
Shapes
    Flatten, Reshape    each example in another shape
How parameters start
    initializers        he_normal, glorot_uniform, normal, … : functions (shape, rng) -> array
"""
from minidl.names import unknown as _unknown
from minidl.nn import initializers
from minidl.nn.activation import ELU, GELU, LeakyReLU, ReLU, Sigmoid, Softmax, Softplus, Tanh
from minidl.nn.convolution import (
    Conv1d,
    Conv2d,
    Conv3d,
    ConvReLU,
    ConvTranspose1d,
    ConvTranspose2d,
    ConvTranspose3d,
)
from minidl.nn.layers import Dense, Dropout, Embedding, Flatten, Reshape
from minidl.nn.module import Module, Parameter
from minidl.nn.normalization import (
                                   BatchNorm,
                                   ConditionalBatchNorm,
                                   GroupNorm,
                                   InstanceNorm,
                                   LayerNorm,
                                   Normalize,
)
from minidl.nn.pooling import AveragePool, GlobalAveragePool, GlobalMaxPool, MaxPool
from minidl.nn.sequential import Sequential
from minidl.nn.summary import summary

__all__ = [
    "AveragePool", "BatchNorm", "ConditionalBatchNorm", "Conv1d", "Conv2d", "Conv3d", "ConvReLU",
    "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d", "Dense", "Dropout", "ELU",
    "Embedding", "Flatten", "GELU", "GlobalAveragePool", "GlobalMaxPool", "GroupNorm",
    "InstanceNorm", "LayerNorm", "LeakyReLU", "MaxPool", "Module", "Normalize", "Parameter",
    "ReLU", "Reshape", "Sequential", "Sigmoid", "Softmax", "Softplus", "Tanh", "initializers",
    "summary"]


def __getattr__(name):
    raise AttributeError(_unknown("minidl.nn", name))
