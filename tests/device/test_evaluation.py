import numpy as np
import pytest

from tests.tiny_tflite import CLASSES, SIZE, STATE_SIZE
from tinytl_tf.device import TrainableModel, evaluate
from tinytl_tf.errors import InputError


@pytest.fixture
def model(model_path):
    model = TrainableModel(model_path, trust=True)
    model.set_state(np.random.default_rng(0).normal(0, 1, STATE_SIZE).astype(np.float32))
    return model


def test_figures_are_means_over_all_images(model):
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, [7, SIZE, SIZE, 3], np.uint8)
    labels = rng.integers(0, CLASSES, 7)
    result = evaluate(model, [(images[:4], labels[:4]), (images[4:], labels[4:])])
    probabilities = np.stack([model.infer(image).probabilities for image in images])
    assert result.examples == 7
    assert result.accuracy == pytest.approx((probabilities.argmax(-1) == labels).mean())
    assert result.loss == pytest.approx(-np.log(probabilities[np.arange(7), labels]).mean(), rel=1e-4)


def test_loss_stays_finite_where_a_probability_is_zero(model):
    model.set_state(np.append(np.zeros(STATE_SIZE - 3), [1000.0, 0.0, 0.0]).astype(np.float32))
    image = np.full([1, SIZE, SIZE, 3], 128, np.uint8)
    assert evaluate(model, [(image, np.array([1]))]).loss == pytest.approx(1000.0)


def test_no_image_and_wrong_labels_are_refused(model):
    with pytest.raises(InputError, match="expected images to evaluate on, got none"):
        evaluate(model, [])
    image = np.zeros([1, SIZE, SIZE, 3], np.uint8)
    with pytest.raises(InputError, match="expected labels from 0 to 2, got 3"):
        evaluate(model, [(image, np.array([3]))])


def test_logits_that_are_not_finite_are_refused(model):
    model.set_state(np.full(STATE_SIZE, 3e38, np.float32))
    with pytest.raises(InputError) as error:
        evaluate(model, [(np.full([1, SIZE, SIZE, 3], 255, np.uint8), np.array([0]))])
    assert str(error.value) == (
        "expected finite logits, got [inf, inf, inf]; "
        "reset the model or restore another state, and train with a lower learning rate"
    )
