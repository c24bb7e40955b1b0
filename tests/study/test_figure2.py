"""The drawings of attention: readable, described, and linked to what exists."""

import importlib
import re

from minitfm.study import figure2


def test_every_box_of_scaled_dot_product_leads_to_what_the_package_has():
    links = set(re.findall(r'href="([^"]+)"', figure2.scaled_dot_product().svg()))
    names = {link.partition("#minitfm.")[2] for link in links}
    assert len(names) == 3
    for name in names:
        module, _, thing = name.rpartition(".")
        assert hasattr(importlib.import_module(f"minitfm.{module}"), thing)


def test_drawings_say_what_they_show():
    for drawing in (figure2.scaled_dot_product(), figure2.looking_back()):
        assert len(drawing.alt) > 100
