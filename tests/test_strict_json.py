import json
import os

import pytest

from tinytl_tf.strict_json import parse_json, read_json

VALUES = {"a": [1, -2.5, 1e300, True, None, "é\n"], "b": {}, "c": 2**64 - 1, "d": -(2**63)}


def test_json_comes_back_as_it_was_written(tmp_path):
    text = json.dumps(VALUES)
    (tmp_path / "a.json").write_text(text)
    assert parse_json(text) == parse_json(text.encode()) == read_json(tmp_path / "a.json", len(text)) == VALUES


def test_values_may_be_nested_in_64_levels():
    values = [1, [{}]]
    for _ in range(62):
        values = {"a": values}
    assert parse_json(json.dumps(values)) == values


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Expecting value: line 1 column 1 (char 0)"),
        ('{"a": 1} {}', "Extra data: line 1 column 10 (char 9)"),
        ("NaN", "the number NaN"),
        ("[-Infinity]", "the number -Infinity"),
        ("[1e400]", "the number 1e400, which is too large"),
        ("-1e309", "the number -1e309, which is too large"),
        (str(2**64), "the number 18446744073709551616, which is too large"),
        (str(-(2**63) - 1), "the number -9223372036854775809, which is too large"),
        ("9" * 5000, f"the number {'9' * 40}, which is too large"),
        ('{"a": 1, "b": 2, "a": 1}', "the key 'a' twice"),
        ('{"a": {"b": 1, "b": 1}}', "the key 'b' twice"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
        ("[" * 66 + "]" * 66, "nested too deeply"),
        ("[" * 900 + "]" * 900, "nested too deeply"),
        ('"\\ud800"', "'utf-8' codec can't encode character '\\ud800' in position 1: surrogates not allowed"),
        (b'"\xff"', "'utf-8' codec can't decode byte 0xff in position 1: invalid start byte"),
    ],
)
def test_what_is_not_read_the_same_way_everywhere_is_refused(text, message):
    with pytest.raises(ValueError) as error:
        parse_json(text)
    assert str(error.value) == message


def test_many_keys_take_linear_time():
    names = [*(f'"{number}": 0' for number in range(200_000)), '"199999": 0']
    with pytest.raises(ValueError, match="the key '199999' twice"):
        parse_json("{" + ", ".join(names) + "}")


def test_what_is_not_a_file_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to(tmp_path / "none")
    for path, reason in (
        (tmp_path, "Is a directory"),
        (tmp_path / "fifo", "Not a regular file"),
        ("/dev/zero", "Not a regular file"),
        (tmp_path / "link", "No such file or directory"),
        ("zero\0byte", "embedded null byte"),
    ):
        with pytest.raises(OSError) as error:
            read_json(path, 10)
        assert (error.value.strerror, str(error.value.filename)) == (reason, str(path))


def test_a_large_file_is_not_read(tmp_path):
    with open(tmp_path / "large", "wb") as stream:
        stream.truncate(2**40)
    with pytest.raises(ValueError, match="^more than 100 bytes$"):
        read_json(tmp_path / "large", 100)
