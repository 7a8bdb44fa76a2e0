"""Images that have each of several attributes or not."""

import logging
import os
import sys

import numpy as np
import pytest

from tests.data.conftest import picture
from tinytl_tf import data
from tinytl_tf.data.labels_file import read_labels
from tinytl_tf.errors import InputError

FORMAT = (
    "expected UTF-8 with a header file,ATTRIBUTE,... and rows of a path inside the folder and 0 or 1 for each attribute"
)

NAME, REMEDY = "expected the name of a class, got", "give the class another name"


@pytest.fixture
def make_labeled(tmp_path):
    """`make_labeled({"train": {"0.png": "0,1"}})` writes pictures and `labels.csv` into each folder."""

    def make(folders, header="file,smiling,glasses"):
        root = tmp_path / "faces"
        for folder, rows in folders.items():
            (root / folder).mkdir(parents=True, exist_ok=True)
            for index, name in enumerate(rows):
                (root / folder / name).parent.mkdir(exist_ok=True)
                picture(index).save(root / folder / name)
            text = "\n".join([header, *(f"{name},{labels}" for name, labels in rows.items())])
            (root / folder / "labels.csv").write_text(text + "\n")
        return root

    return make


def test_splits_with_labels(make_labeled):
    root = make_labeled(
        {"train": {"b.png": "0,1", "a.png": "1,1"}, "Val": {"c.png": "0,0"}, "test": {"x/d.png": "1,0"}}
    )
    splits = data.load(root)
    assert splits.train.task == splits.test.task == splits.validation.task == "multilabel"
    assert splits.train.class_names == ("smiling", "glasses")
    assert splits.train.labels.dtype == np.float32
    assert splits.train.labels.tolist() == [[1, 1], [0, 1]]
    np.testing.assert_array_equal(splits.train.image(0), np.asarray(picture(1)))  # sorted by path: a.png
    assert splits.validation.labels.tolist() == [[0, 0]]
    assert splits.test.labels.tolist() == [[1, 0]]
    assert splits.describe().splitlines()[0] == "train: 2 images of 2 attributes: smiling 1, glasses 2"


def test_a_flat_folder_is_split_by_hash_and_seed(make_labeled):
    rows = {f"{index:02}.png": f"{index % 2},{index // 10}" for index in range(20)}
    root = make_labeled({"": rows})

    def tested(seed):
        return data.load(root, seed=seed).test.labels.tolist()

    splits = data.load(root)
    assert len(splits.train) + len(splits.test) == 20
    assert 1 <= len(splits.test) <= 9
    assert tested(0) == tested(0)
    assert len({str(tested(seed)) for seed in range(4)}) > 1


def test_a_packed_set(make_packed):
    labels = np.array([[index % 2, index // 4] for index in range(8)])
    splits = data.load(make_packed(label=labels))
    assert (splits.train.task, len(splits.train), len(splits.test)) == ("multilabel", 6, 2)
    np.testing.assert_array_equal(splits.train.labels, labels[:6])
    ((images, batch),) = data.eval_batches(splits.test, batch_size=4, image_size=8)
    assert (images.shape, batch.dtype, batch.tolist()) == ((2, 8, 8, 3), np.float32, [[0, 1], [1, 1]])
    assert data.load(make_packed(label=labels), train_images=3).train.labels.tolist() == labels[:3].tolist()
    with pytest.raises(InputError, match="^train_images is 7; expected 1 to 6, the images of packed set "):
        data.load(make_packed(label=labels), train_images=7)


def test_labels_decide_the_fingerprint(make_packed):
    def fingerprint(labels):
        return data.load(make_packed(label=np.array(labels))).train.fingerprint()

    assert fingerprint([[0, 1]] * 8) != fingerprint([[1, 1]] * 8)


def test_images_without_a_row_are_said(make_labeled, caplog):
    root = make_labeled({"train": {"a.png": "0,1"}, "test": {"b.png": "0,1"}})
    picture(9).save(root / "train/c.png")
    with caplog.at_level(logging.WARNING, "tinytl_tf.data.folder"):
        assert len(data.load(root).train) == 1
    assert caplog.records[0].getMessage() == f"{root}: ignored 1 images that train/labels.csv does not name"


@pytest.mark.parametrize("name", ["gone.png", "../test/b.png", "/etc/passwd", "link.png"])
def test_a_row_of_no_image_of_the_folder_is_refused(make_labeled, name):
    root = make_labeled({"train": {"a.png": "0,1"}, "test": {"b.png": "0,1"}})
    (root / "train/link.png").symlink_to(root / "test/b.png")  # would be in both splits
    with open(root / "train/labels.csv", "a") as stream:
        stream.write(f"{name},0,1\n")
    with pytest.raises(InputError) as error:
        data.load(root)
    assert str(error.value) == (
        f"{root}/train/labels.csv names 1 files that are not images of this folder alone, the first is '{name}'; "
        "correct or remove these rows"
    )


def test_splits_with_other_attributes_are_refused(make_labeled):
    root = make_labeled({"train": {"a.png": "0,1"}, "test": {"b.png": "0,1"}})
    (root / "test/labels.csv").write_text("file,glasses,smiling\nb.png,0,1\n")
    with pytest.raises(InputError, match=r"attributes glasses, smiling; expected those of .* order: smiling, glasses$"):
        data.load(root)


def test_a_split_without_labels_is_refused(make_labeled):
    root = make_labeled({"train": {"a.png": "0,1"}, "test": {"b.png": "0,1"}})
    (root / "test/labels.csv").unlink()
    with pytest.raises(InputError, match=r"^.*/test/labels.csv cannot be read \(\[Errno 2\] No such file"):
        data.load(root)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", f"{{path}} begins with 'nothing'; {FORMAT}"),
        ("id,breed\n1,pug\n", f"{{path}} begins with 'id,breed'; {FORMAT}"),
        ("file\na.png\n", f"{{path}} begins with 'file'; {FORMAT}"),
        ("file,a,a\n", "{path} has the attribute 'a' 2 times; keep one of them"),
        ("file,e\u0301,\u00e9\n", "{path} has the attribute '\u00e9' 2 times; keep one of them"),
        ("file,a,b\nx.png,0,2\n", f"line 2 of {{path}} is 'x.png,0,2'; {FORMAT}"),
        *(
            (f"file,a,b\nx.png,0,{value}\n", f"line 2 of {{path}} is {f'x.png,0,{value}'!r:.80}; {FORMAT}")
            for value in ("1e400", "1" * 5000, "nan", "inf", "-1", "0.5", "1.0", "\u0661", "", "0x1", "True")
        ),
        (
            "file,a,b\nx.png,0,1\0\n",
            f"line 2 of {{path}} is 'x.png,0,1\\x00'; {FORMAT}"
            if sys.version_info >= (3, 11)
            else f"{{path}} cannot be read (line contains NUL); {FORMAT}",
        ),
        ("file,a,b\nx.png,0\n", f"line 2 of {{path}} is 'x.png,0'; {FORMAT}"),
        ("file,a,b\n\n\nx.png,0\n", f"line 4 of {{path}} is 'x.png,0'; {FORMAT}"),
        ("file,a,b\nx.png,0,\n", f"line 2 of {{path}} is 'x.png,0,'; {FORMAT}"),
        ("file;a;b\nx.png;0;1\n", f"{{path}} begins with 'file;a;b'; {FORMAT}"),
        ('file,a,b\n"x.png,0,1\n', f"{{path}} cannot be read (unexpected end of data); {FORMAT}"),
        ("file,smiling,\nx.png,0,1\n", f"column 3 of {{path}}: {NAME} '', which is invisible; {REMEDY}"),
        ("file,smiling, \nx.png,0,1\n", f"column 3 of {{path}}: {NAME} '', which is invisible; {REMEDY}"),
        ("file,\u200d,b\nx.png,0,1\n", f"column 2 of {{path}}: {NAME} '\\u200d', which is invisible; {REMEDY}"),
        (
            'file,"a\nb",b\nx.png,0,1\n',
            f"column 2 of {{path}}: {NAME} 'a\\nb', which has the control character or line separator U+000A; {REMEDY}",
        ),
        ("file,a,b\nx.png,0,1\n./x.png,0,1\n", "{path} has the file 'x.png' 2 times; keep one of them"),
    ],
)
def test_bad_labels(tmp_path, text, message):
    path = tmp_path / "labels.csv"
    path.write_text(text)
    with pytest.raises(InputError) as error:
        read_labels(path)
    assert str(error.value) == message.format(path=path)


def test_labels_that_are_no_file_are_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "labels.csv")
    with pytest.raises(InputError, match=r"labels.csv cannot be read \(\[Errno 22\] Not a regular file"):
        read_labels(tmp_path / "labels.csv")


def test_a_field_of_a_megabyte_is_refused(tmp_path):
    (tmp_path / "labels.csv").write_text(f"file,a,b\n{'x' * 2**20},0,1\n")
    with pytest.raises(InputError, match=r"labels.csv cannot be read \(field larger than field limit \(131072\)\)"):
        read_labels(tmp_path / "labels.csv")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_what_tables_are_written_with(tmp_path, mark, end):
    """Ends of lines, a byte order mark, quotes and blanks; other spaces belong to a name."""
    lines = [
        '"file", smiling ,"big, ""red"" nose",\u8d64\u3000\u30d0\u30e9,\u00a0x',
        '"a,b.png",0,1,0,1',
        "",
        "d.png\t, 1,0 ,1,0",
    ]
    path = tmp_path / "labels.csv"
    path.write_bytes((mark + end.join(lines) + end).encode())
    names, rows = read_labels(path)
    assert names == ["smiling", 'big, "red" nose', "\u8d64\u3000\u30d0\u30e9", "\u00a0x"]
    assert {name: row.tolist() for name, row in rows.items()} == {"a,b.png": [0, 1, 0, 1], "d.png": [1, 0, 1, 0]}


COMPOSED, APART = "caf\u00e9.png", "cafe\u0301.png"


@pytest.mark.parametrize(("in_folder", "in_table"), [(COMPOSED, APART), (APART, COMPOSED), (APART, APART)])
def test_letters_and_accents_may_be_apart_in_the_folder_or_in_the_table(make_labeled, in_folder, in_table):
    root = make_labeled({"train": {"a.png": "0,1", in_folder: "1,0"}, "test": {"b.png": "0,1"}})
    table = root / "train/labels.csv"
    table.write_text(table.read_text().replace(in_folder, in_table))
    splits = data.load(root)
    assert splits.train.labels.tolist() == [[0, 1], [1, 0]]
    np.testing.assert_array_equal(splits.train.image(1), np.asarray(picture(1)))


def test_two_files_of_one_name_are_told_apart_by_their_spelling_alone(make_labeled):
    root = make_labeled({"train": {COMPOSED: "0,1", APART: "1,0"}, "test": {"b.png": "0,1"}})
    assert sorted(data.load(root).train.labels.tolist()) == [[0, 1], [1, 0]]
    message = "which has two spellings, with accents as separate characters and combined; rename one of the files"
    (root / "train" / APART).unlink()  # two rows of one file
    with pytest.raises(InputError, match=message):
        data.load(root)
    picture(1).save(root / "train" / "e\u0323\u0302.png")  # one row, spelled in a third way, of two files
    picture(2).save(root / "train" / "\u1ec7.png")
    (root / "train/labels.csv").write_text("file,smiling,glasses\n\u1eb9\u0302.png,0,1\n")
    with pytest.raises(InputError, match=message):
        data.load(root)


def test_labels_of_another_encoding_are_refused(tmp_path):
    (tmp_path / "labels.csv").write_bytes(b"file,caf\xe9,b\n")
    with pytest.raises(InputError, match=r"labels.csv cannot be read \('utf-8' codec"):
        read_labels(tmp_path / "labels.csv")
