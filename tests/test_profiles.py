import itertools

import pytest

from tinytl_tf.errors import InputError
from tinytl_tf.profiles import PROFILES, get_profile


def test_names():
    assert list(PROFILES) == ["micro", "min-memory", "balanced", "fast"]
    assert all(get_profile(name).name == name for name in PROFILES)


@pytest.mark.parametrize("name", ["tiny", "", "Fast", None])
def test_unknown(name):
    with pytest.raises(InputError) as error:
        get_profile(name)
    assert str(error.value) == f"unknown profile {name!r}; choose one of micro, min-memory, balanced, fast"


@pytest.mark.parametrize("field", ["tile_bytes", "infer_tile_bytes"])
def test_each_profile_cuts_no_finer_than_the_one_before(field):
    sizes = [getattr(profile, field) or float("inf") for profile in PROFILES.values()]
    assert all(small <= large for small, large in itertools.pairwise(sizes))
