import numpy as np
import pytest

from tinytl_tf.data.classes import match_classes, model_labels
from tinytl_tf.errors import InputError


def test_any_subset_in_any_order_by_name():
    assert match_classes(["c", "a"], ["a", "b", "c"], 3, where="photos").tolist() == [2, 0]


def test_names_are_compared_in_one_normal_form():
    assert match_classes(["e\u0301", "a"], ["a", "\u00e9"], 2, where="photos").tolist() == [1, 0]


def test_by_position_only_when_asked_for_and_for_all():
    assert match_classes(["x", "y"], None, 2, where="photos", by_position=True).tolist() == [0, 1]
    with pytest.raises(InputError, match="^expected 3 classes to match by position, got 2 in photos "):
        match_classes(["x", "y"], None, 3, where="photos", by_position=True)
    with pytest.raises(InputError, match="^the model has no names for its 2 outputs, photos has the classes x, y; "):
        match_classes(["x", "y"], None, 2, where="photos")


def test_every_unknown_class_is_named():
    with pytest.raises(InputError, match="^photos has classes that the model does not have: x, y; it has a, b: "):
        match_classes(["x", "a", "y"], ["a", "b"], 2, where="photos")


def test_labels_are_put_where_the_model_has_them():
    outputs = match_classes(["c", "a"], ["a", "b", "c"], 3, where="photos")
    assert model_labels(np.array([0, 1, 0]), outputs).tolist() == [2, 0, 2]
    outputs = match_classes(["c", "a", "b"], ["a", "b", "c"], 3, where="photos", complete=True)
    assert model_labels(np.array([[3.0, 1.0, 2.0]]), outputs).tolist() == [[1.0, 2.0, 3.0]]


def test_an_attribute_that_is_missing_is_named():
    with pytest.raises(InputError, match="^photos lacks attributes of the model: b; "):
        match_classes(["c", "a"], ["a", "b", "c"], 3, where="photos", complete=True)
