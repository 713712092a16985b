"""How gradients go wrong: operations that are wrong on purpose, as a user would write them."""
from minidl.learn.mutants import formulas, subtle  # they file their mutants
from minidl.learn.mutants.catalogue import Mutant, mutants
