import os

import numpy as np
import pytest

from tinytl_tf.memory import peak_growth
from tinytl_tf.memory.peak_growth import PeakGrowth

MB = 10**6


@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="a peak that can not be reset")
def test_a_peak_that_is_over_counts():
    growth = PeakGrowth()
    block = np.ones(50 * MB, np.uint8)
    del block
    assert 49 * MB < growth.bytes() < 60 * MB


def test_a_peak_before_does_not_count():
    block = np.ones(50 * MB, np.uint8)
    del block
    assert PeakGrowth().bytes() < 10 * MB


def test_without_the_right_to_reset_the_peak_is_the_start(tmp_path, monkeypatch):
    monkeypatch.setattr(peak_growth, "_CLEAR_REFS", tmp_path)  # a folder can not be written
    status = tmp_path / "status"
    monkeypatch.setattr(peak_growth, "STATUS", status)
    status.write_text("VmHWM:\t   300 kB\nVmRSS:\t   100 kB\n")
    growth = PeakGrowth()
    status.write_text("VmHWM:\t   310 kB\nVmRSS:\t   100 kB\n")
    assert growth.bytes() == 10 * 1024
