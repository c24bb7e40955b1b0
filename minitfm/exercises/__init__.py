"""Exercises that name the learner's mistake: one module a chapter, under the slug of its
notebook, its words in ``texts/``, and the checker in ``engine/``.

``from minitfm.exercises import attention as ex``, then
``ex.scaled_dot_product.check(my_function)``, ``.hint()``, ``.solution()``,
``ex.progress()``, and ``ex.save(path)`` and ``ex.load(path)`` over all chapters.
"""
