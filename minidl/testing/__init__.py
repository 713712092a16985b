"""Tools to property-test gradients, minidl's own and anyone's."""
from minidl.testing.gradcheck import GradientError, adjointcheck, gradcheck, jacobian
