"""Layers, and the Module that they are made of."""
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
