"""minidl: a deep-learning engine to read."""
from minidl import ops
from minidl.backend import DeviceError, devices, use_device
from minidl.tensor import Tensor, grad, no_grad, tensor
