"""How gradients go wrong: operations that are wrong on purpose, each written as a user writes one."""
from minidl.learn.mutants import formulas, subtle  # they file their mutants
from minidl.learn.mutants.catalogue import Mutant, mutants
