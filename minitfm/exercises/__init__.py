"""Exercises that name the learner's mistake: one module a chapter, and `plug` for
running a part inside the model.

``from minitfm.exercises import attention as ex``, then
``ex.scaled_dot_product.check(my_function)``, ``.hint()``, ``.solution()`` and
``ex.progress()``.
"""
