"""Tools to property-test gradients, minidl's own and anyone's."""
from minidl.testing.adjoint import adjointcheck
from minidl.testing.derivatives import hessian, hessian_vector_product, jacobian
from minidl.testing.errors import GradientError, NotAnalyticError, NotDifferentiableError
from minidl.testing.gradcheck import gradcheck
