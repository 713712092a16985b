"""Exercises on the real source: one piece of the package is left out, and the learner writes it.

    python -m minidl.learn next         the next exercise, as a file to edit
    python -m minidl.learn check        is the answer right?

See README.md of this folder.  In the order in which one reads:

    path/           the exercises, chapter by chapter
    exercises.py    what an exercise is: a page to edit, its solution, how an answer is judged
    faults.py       the same for an operation that is to be repaired
    source.py       the package's source, with a part left out or changed
    trials.py       what is tried on an answer, beside gradcheck
    answers.py      a learner's file run, and what goes wrong in it told in one line
    judging.py      that in a process of its own, which can be ended
    folder.py       the learner's folder and what is remembered there
    __main__.py     the commands
    cases/          a case or more for every public operation; the suite's and the exercises'
    mutants/        operations that are wrong on purpose, in which to find the fault
"""
