"""Files as people have them: read right, or refused in one sentence that says where and what to do."""

import datetime
import os
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from multiindex_nb.cli import read_data
from multiindex_nb.cli.tables import read_file, read_inputs

# few rows are not the subject
pytestmark = pytest.mark.filterwarnings("ignore::multiindex_nb.problem.rows.HopelessWarning")
ROWS = "1,2,3\n4,5,6\n7,8,10\n"
XY = [[1, 2], [4, 5], [7, 8]], [3, 6, 10]


def same(found, expected=XY):
    "X and y as expected."
    return all(np.array_equal(np.asarray(a), np.asarray(b, dtype=float))
               for a, b in zip(found, expected, strict=True))


READABLE = {
    "plain": "a,b,y\n" + ROWS,
    "quoted": '"a","b","y"\n"1","2","3"\n"4","5","6"\n"7","8","10"\n',
    "spaces": "a, b, y\n1, 2, 3\n 4 ,5 ,6\n7,8, 10\n",
    "semicolons": "a;b;y\n" + ROWS.replace(",", ";"),
    "tabs": "a\tb\ty\n" + ROWS.replace(",", "\t"),
    "bars": "a|b|y\n" + ROWS.replace(",", "|"),
    "decimal commas": "a;b;y\n1,0;2,00;3,0\n4,0;5;6\n7,0;8;10,0\n",
    "decimal commas between tabs": "a\tb\ty\n1,0\t2\t3\n4\t5\t6,0\n7\t8\t10\n",
    "a comma in a name": "a;b, in m;y\n" + ROWS.replace(",", ";"),
    "separator at the end": "a,b,y,\n" + ROWS.replace("\n", ",\n"),
    "byte-order mark": "\ufeffa,b,y\n" + ROWS,
    "Windows": ("a,b,y\n" + ROWS).replace("\n", "\r\n"),
    "blank lines": "a,b,y\n\n" + ROWS.replace("\n", "\n\n"),
    "no last newline": ("a,b,y\n" + ROWS).rstrip(),
    "capital Y": "a,b,Y\n" + ROWS,
    "label first": "y,a,b\n3,1,2\n6,4,5\n10,7,8\n",
    "pandas' index": ",a,b,y\n0,1,2,3\n1,4,5,6\n2,7,8,10\n",
    "a filtered and shuffled index": ",a,b,y\n17,1,2,3\n3,4,5,6\n9,7,8,10\n",
    "an index read and written again": "Unnamed: 0,a,b,y\n0,1,2,3\n1,4,5,6\n2,7,8,10\n",
    "exponents": "a,b,y\n1e0,20E-1,.3e1\n4,5.,6\n7,8,+10\n",
}


@pytest.mark.parametrize("text", READABLE.values(), ids=READABLE)
def test_tables_are_read_right(text, tmp_path):
    "The same three rows in every form."
    (tmp_path / "t.csv").write_text(text, encoding="utf-8", newline="")
    assert same(read_data(tmp_path / "t.csv"))


@pytest.mark.parametrize("code", ["utf-16", "utf-8-sig"])
def test_other_unicode_with_a_mark_is_read(code, tmp_path):
    "As a spreadsheet writes it."
    (tmp_path / "t.csv").write_text("größe\tb\ty\n" + ROWS.replace(",", "\t"), encoding=code)
    table = read_file(tmp_path / "t.csv")
    assert same((table.X, table.y)) and table.names == ("größe", "b")


def test_types_are_inferred_from_all_rows(tmp_path):
    "A column of whole numbers with one fraction far below, beyond a block of a reader."
    n = 300_000
    (tmp_path / "t.csv").write_text("a,y\n" + "".join(f"{k % 7},{k % 5}\n" for k in range(n))
                                    + "0.5,true\n".replace("true", "1"))
    X, y = read_data(tmp_path / "t.csv")
    assert len(X) == n + 1 and X[-1, 0] == 0.5


REFUSED = {
    "empty": ("", "t.csv is empty"),
    "blank": ("\n\n", "t.csv is empty"),
    "no rows": ("a,b,y\n", "names and no rows"),
    "one row": ("a,b,y\n1,2,3\n", "t.csv: X must have at least 2 rows"),
    "one column": ("y\n1\n2\n", "at least one other; no comma, semicolon, tab, bar cuts its first line: 'y'"),
    "spaces between cells": ("a b y\n1 2 3\n4 5 6\n",
                             "no comma, semicolon, tab, bar cuts its first line: 'a b y'"),
    "no names": ("1.5,2,3\n4,5,6\n", "must hold names, got numbers"),
    "same names": ("a,a,y\n" + ROWS, "2 columns named 'a'"),
    "same names but for spaces": ("a, a,y\n" + ROWS, "2 columns named 'a'"),
    "a column without name": ("a,,y\n1,2.5,3\n4,5,6\n", "column 2 of t.csv has no name"),
    "a word": ("a,b,y\n1,2,3\n4,five,6\n", "t.csv, line 3, column 'b' must be numeric, got the text 'five'"),
    "a word after blank and long lines": ('a,"b\n2",y\n\n1,2,3\n4,five,6\n',
                                          r"t.csv, line 5, column 'b\n2' must be numeric, got the text 'five'"),  # noqa: E501
    "a word as label": ("a,b,y\n1,2,3\n4,5,six\n",
                        "t.csv, line 3, column 'y' must be numeric, got the text 'six'"),
    "a missing value": ("a,b,y\n1,2,3\n4,,6\n",
                        "t.csv, line 3, column 'b' must be finite, got a missing value"),
    "NA": ("a,b,y\n1,2,NA\n4,5,6\n", "t.csv, line 2, column 'y' must be finite, got a missing value"),
    "nan": ("a,b,y\n1,2,3\nnan,5,6\n", "t.csv, line 3, column 'a' must be finite, got a missing value"),
    "inf": ("a,b,y\n1,2,3\n4,-inf,6\n", "t.csv, line 3, column 'b' must be finite, got an infinite one"),
    "overflow": ("a,b,y\n1,2,3\n4,1e999,6\n",
                 "t.csv, line 3, column 'b' must be finite, got an infinite one"),
    "an empty column": ("a,b,y\n1,,3\n4,,6\n", "column 'b' of t.csv is empty"),
    "dates": ("a,day,y\n1,2024-01-31,3\n4,2024-02-01,6\n",
              "column 'day' of t.csv must be numeric, got date32"),
    "times": ("a,at,y\n1,2024-01-31 10:00:00,3\n4,2024-02-01 11:00:00,6\n",
              "column 'at' of t.csv must be numeric, got timestamp"),
    "thousands": ('a,b,y\n"1,234",2,3\n4,5,6\n',
                  "line 2, column 'a' must be numeric, got the text '1,234': a thousands separator"),
    "thousands with decimals": ('a,b,y\n"1,234.5",2,3\n4,5,6\n', "'1,234.5': a thousands separator"),
    "thousands with points": ("a;b;y\n1.234,5;2;3\n4;5;6\n", "'1.234,5': a thousands separator"),
    "thousands with spaces": ("a,b,y\n1 234,2,3\n4,5,6\n", "'1 234': a thousands separator"),
    "decimal commas between commas": ('a,b,y\n"1,5",2,3\n4,5,6\n',
                                      "line 2, column 'a' must be numeric, got the text '1,5': a decimal "
                                      "comma"),
    "commas that may be either": ("a;b;y\n1,234;2;3\n5,678;5;6\n",
                                  "line 2, column 'a' holds '1,234': a decimal comma or a thousands separator"),  # noqa: E501
    "points and commas": ("a;b;y\n1,5;2.5;3\n4,5;5.5;6\n", "must be numeric, got the text"),
    "a longer row": ("a,b,y\n1,2,3\n4,5,6,7\n", "line 3 of t.csv has 4 cells, the first line 3"),
    "a shorter row": ("a,b,y\n1,2,3\n4,5\n", "line 3 of t.csv has 2 cells, the first line 3"),
    "separators at the ends of rows only": ("a,b,y\n1,2,3,\n4,5,6,\n",
                                            "line 2 of t.csv has 4 cells, the first line 3"),
    "an identifier": (f"id,b,y\n1,2,3\n{2**53 + 1},5,6\n",
                      f"t.csv, line 3, column 'id' holds {2**53 + 1}: float64 keeps whole numbers"),
    "a longer identifier": (f"id,b,y\n1,2,3\n{10**22 + 1},5,6\n",
                            f"t.csv, line 3, column 'id' holds {10**22 + 1}: float64"),
    "an identifier as label": (f"a,y\n1,{-(2**60)}\n3,5\n",
                               f"t.csv, line 2, column 'y' holds {-(2**60)}: float64"),
    "complex": ("a,b,y\n1+2j,2,3\n4,5,6\n", "t.csv, line 2, column 'a' must be numeric, got the text '1+2j'"),
    "an underscore": ("a,y\n1,2\n3,4\n5,1_000\n",
                      "t.csv, line 4, column 'y' must be numeric, got the text '1_000'"),
    "other digits": ("a,y\n1,2\n3,4\n5,\u0663\n", "t.csv, line 4, column 'y' must be numeric"),
    "a word below decimal commas": ("a;b;y\n1,5;1,5;3\n2,5;red;4\n",
                                    "t.csv, line 3, column 'b' must be numeric, got the text 'red'"),
    "nothing but row numbers": ("Unnamed: 0,\n1,\n2,\n", "at least one other, got none but"),
    "row numbers without a name": (",\n1,\n2,\n", "at least one other, got none but"),
    "nothing but separators": (",\n,\n,\n", "at least one other, got none but"),
    "an identifier below many zeros": (f"a,y\n{'0' * 4400}1,2\n{10**20},3\n",
                                       f"t.csv, line 3, column 'a' holds {10**20}: float64"),
    "constant label": ("a,b,y\n1,2,3\n4,5,3\n", "t.csv: y must not be constant"),
}


@pytest.mark.parametrize("text, words", REFUSED.values(), ids=REFUSED)
def test_tables_are_refused_by_file_line_and_column(text, words, tmp_path):
    "A `ValueError` of one sentence."
    (tmp_path / "t.csv").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError) as caught:
        read_data(tmp_path / "t.csv")
    assert words in str(caught.value) and "t.csv" in str(caught.value)


@pytest.mark.parametrize("code, place", [("latin-1", "line 1, byte 0xf6"), ("utf-16-le", "null characters")])
def test_other_encodings_are_refused(code, place, tmp_path):
    "The file is named, and UTF-8."
    (tmp_path
     / "t.csv").write_bytes((("größe" if code == "latin-1" else "size") + ",b,y\n" + ROWS).encode(code))
    with pytest.raises(ValueError, match=f"t.csv .*{place}.*UTF-8"):
        read_data(tmp_path / "t.csv")


LABELS = [
    ("a,b,y", None, "'y' (by its name"),
    ("Y,a,b", None, "'Y' (by its name"),
    ("Y,y,a", None, "'y' (by its name"),
    ("a,b,c", None, "'c' (the last column, since none is called y"),
    ("a,b,y", "a", "'a' (as asked for"),
]


@pytest.mark.parametrize("names, label, said", LABELS)
def test_the_label_is_said(names, label, said, tmp_path):
    "Which column, and why; the others are the inputs, in their order."
    (tmp_path / "t.csv").write_text(names + "\n" + ROWS)
    table = read_file(tmp_path / "t.csv", label)
    assert table.label.startswith(said)
    assert table.names == tuple(n for n in names.split(",") if repr(n) != said.split(" ")[0])


WORDS = [("cat", "dog", ("cat", "dog")), ("true", "false", (False, True)), ("1", "2", ()), ("1", "x", None)]


@pytest.mark.parametrize("one, other, classes", WORDS)
def test_classes_are_words_or_asked_for(one, other, classes, tmp_path):
    "A stray word among numbers is an error unless classes are asked for; a missing one always is."
    path, text = tmp_path / "t.csv", f"a,y\n1,{one}\n2,{other}\n3,{one}\n4,{other}\n"
    path.write_text(text)
    if classes is None:
        with pytest.raises(ValueError, match="line 3, column 'y' must be numeric, got the text 'x'"):
            read_file(path, classes=None)
    else:
        assert read_file(path, classes=None).classes == classes
    table = read_file(path, classes=True)
    assert len(table.classes) == 2 and sorted(table.y.tolist()) == [0, 0, 1, 1]
    path.write_text(text + "5,\n")
    with pytest.raises(ValueError, match="line 6, column 'y' must .* a missing value"):
        read_file(path, classes=True)


def test_columns_are_found_by_name(tmp_path):
    "In any order, beside text; a number of rows in place of a name is no column unless it was one."
    (tmp_path / "t.csv").write_text("b,word,a,Unnamed: 0\n2,x,1,7\n5,y,4,8\n")
    X, others = read_inputs(tmp_path / "t.csv", ["a", "b"])
    assert X.tolist() == [[1, 2], [4, 5]] and others == ["word"]
    assert read_inputs(tmp_path / "t.csv", ["Unnamed: 0"])[0].tolist() == [[7], [8]]
    with pytest.raises(ValueError, match="lacks 'c', 'd'"):
        read_inputs(tmp_path / "t.csv", ["a", "c", "d"])


def test_a_label_that_is_not_there(tmp_path):
    "The names that are, and the one that was meant."
    (tmp_path / "t.csv").write_text("a,b,Price\n" + ROWS)
    with pytest.raises(ValueError,
                       match="must have a column 'price' .*got a, b, Price .did you mean 'Price'"):
        read_data(tmp_path / "t.csv", "price")


FRAME = pd.DataFrame({"a": [1, 4, 7], "b": [2, 5, 8], "target": [3, 6, 10]})
FRAMES = {
    "plain": FRAME,
    "filtered": pd.concat([FRAME.assign(a=0), FRAME], ignore_index=True).iloc[3:],
    "shuffled": FRAME.set_index(pd.Index([2, 0, 1])),
    "named index": FRAME.set_index(pd.Index([11, 12, 15], name="customer")),
    "two indices": FRAME.set_index(
        [pd.Index([1, 1, 2], name="year"), pd.Index(["p", "q", "r"], name="place")]),
    "dates as index": FRAME.set_index(pd.date_range("2024-01-01", periods=3)),
    "categories of numbers": FRAME.astype({"a": "category"}),
    "nullable": FRAME.astype("Int64"),
    "half precision and booleans": FRAME.astype({"a": "float32", "b": "uint8"}),
}


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
def test_frames_of_pandas_keep_their_columns(frame, tmp_path):
    "An index is no input, and never the label."
    frame.to_parquet(tmp_path / "t.parquet")
    assert same(read_data(tmp_path / "t.parquet"))
    assert parquet.read_schema(tmp_path / "t.parquet").pandas_metadata


def test_an_index_can_be_asked_for_as_label(tmp_path):
    "By its name."
    FRAME.assign(a=[1, 4, 9]).set_index("a").to_parquet(tmp_path / "t.parquet")
    assert same(read_data(tmp_path / "t.parquet", "a"), ([[2, 3], [5, 6], [8, 10]], [1, 4, 9]))


def test_an_index_column_without_pandas_metadata(tmp_path):
    "Its name tells."
    parquet.write_table(
        pa.table({"a": [1, 4, 7], "b": [2, 5, 8], "t": [3, 6, 10], "__index_level_0__": [5, 6, 9]}),
        tmp_path / "t.parquet")
    assert same(read_data(tmp_path / "t.parquet"))


COLUMNS = {
    "decimals": (pa.array([Decimal("1.25"), Decimal("-4.50"), Decimal("7.00")]), [1.25, -4.5, 7]),
    "wide decimals": (pa.array([Decimal("1.25"), Decimal("-4.50"), Decimal("7.00")], pa.decimal256(40, 2)),
                      [1.25, -4.5, 7]),
    "booleans": (pa.array([True, False, True]), [1, 0, 1]),
    "uint64": (pa.array([1, 2**53, 3], pa.uint64()), [1, 2.0**53, 3]),
    "half": (pa.array(np.array([1.5, 2, 3], np.float16)), [1.5, 2, 3]),
    "large floats": (pa.array([1e300 / 1e250, 2.0**60, 3.0]), [1e50, 2.0**60, 3]),
}


@pytest.mark.parametrize("column, values", COLUMNS.values(), ids=COLUMNS)
def test_columns_of_parquet_are_read(column, values, tmp_path):
    "Every kind of real number."
    parquet.write_table(pa.table({"a": column, "y": [1.0, 2.0, 4.0]}), tmp_path / "t.parquet")
    assert np.allclose(read_data(tmp_path / "t.parquet")[0][:, 0], values, rtol=1e-15)


BAD_COLUMNS = {
    "text": (pa.array(["1", "x", "3"]), "t.parquet, row 2, column 'a' must be numeric, got the text 'x'"),
    "numbers as text": (pa.array(["1", "2", "3"]),
                        "t.parquet, row 1, column 'a' must be numeric, got the text '1'"),
    "large text": (pa.array(["1", "x", "3"], pa.large_string()), "row 2, column 'a' must be numeric"),
    "categories": (pa.array(["p", "q", "p"]).dictionary_encode(),
                   "row 1, column 'a' must be numeric, got the text 'p'"),
    "dates": (pa.array([datetime.date(2024, 1, k) for k in (1, 2, 3)]),
              "column 'a' of t.parquet must be numeric, got date32"),
    "lists": (pa.array([[1], [2], [3]]), "column 'a' of t.parquet must be numeric, got list"),
    "bytes": (pa.array([b"1", b"2", b"3"]), "column 'a' of t.parquet must be numeric, got binary"),
    "nothing": (pa.array([None, None, None]), "column 'a' of t.parquet is empty"),
    "a gap": (pa.array([1, None, 3]), "t.parquet, row 2, column 'a' must be finite, got a missing value"),
    "a gap in decimals": (pa.array([Decimal("1.5"), None, Decimal("2.5")]),
                          "row 2, column 'a' must be finite, got a missing value"),
    "nan": (pa.array([1.0, 2.0, float("nan")]), "row 3, column 'a' must be finite, got a missing value"),
    "identifiers": (pa.array([1, 2**53 + 1, 3]), f"row 2, column 'a' holds {2**53 + 1}: float64"),
    "uint64": (pa.array([1, 2**64 - 1, 3], pa.uint64()), f"row 2, column 'a' holds {2**64 - 1}: float64"),
    "whole decimals": (pa.array([Decimal(1), Decimal(10**20 + 1), Decimal(3)]),
                       f"row 2, column 'a' holds {10**20 + 1}: float64"),
}


@pytest.mark.parametrize("column, words", BAD_COLUMNS.values(), ids=BAD_COLUMNS)
def test_columns_of_parquet_are_refused_by_name(column, words, tmp_path):
    "File, row and column."
    parquet.write_table(pa.table({"a": column, "y": [1.0, 2.0, 4.0]}), tmp_path / "t.parquet")
    with pytest.raises(ValueError) as caught:
        read_data(tmp_path / "t.parquet")
    assert words in str(caught.value)


@pytest.mark.parametrize("frame", [pd.DataFrame(), pd.DataFrame(index=pd.Index([3, 5, 9], name="k"))])
def test_frames_without_a_column(frame, tmp_path):
    "Nothing but an index, or not even that."
    frame.to_parquet(tmp_path / "t.parquet")
    with pytest.raises(ValueError, match="t.parquet must have a column for the label .*, got none but"):
        read_data(tmp_path / "t.parquet")


def test_names_with_digits_are_names(tmp_path):
    "What float() reads and nobody else."
    (tmp_path / "t.csv").write_text("2024_1,2024_2,2025_1\n" + ROWS)
    assert same(read_data(tmp_path / "t.csv"))


def test_what_is_no_file(tmp_path):
    "A pipe is there, and is no file; an empty name is not the folder."
    os.mkfifo(tmp_path / "t.csv")
    with pytest.raises(OSError, match="t.csv is a pipe or a device, not a file"):
        read_data(tmp_path / "t.csv")
    with pytest.raises(OSError, match="no such file: its name is empty"):
        read_data("")
    with pytest.raises(OSError, match="is a folder"):
        read_data(tmp_path)


def test_same_names_in_parquet(tmp_path):
    "As in .csv."
    parquet.write_table(pa.Table.from_arrays([pa.array([1.0, 2.0])] * 3, ["a", "a", "y"]),
                        tmp_path / "t.parquet")
    with pytest.raises(ValueError, match="t.parquet has 2 columns named 'a'"):
        read_data(tmp_path / "t.parquet")


ARRAYS = {
    "complex": (np.ones((3, 2)) + 1j, "X in t.npz must hold real numbers, got dtype complex128"),
    "text": (np.array([["1", "2"]] * 3), "X in t.npz must hold real numbers, got dtype <U1"),
    "dates": (np.zeros((3, 2), "datetime64[D]"), "X in t.npz must hold real numbers, got dtype datetime64"),
    "identifiers": (np.array([[1, 2**53 + 1]] * 3), f"X in t.npz holds {2**53 + 1}: float64"),
    "unsigned": (np.array([[1, 2**64 - 1]] * 3, np.uint64), f"X in t.npz holds {2**64 - 1}: float64"),
    "nan": (np.array([[1, np.nan]] * 3),
            "t.npz: X must be finite, got 3 NaN or infinite entries, the first at (0, 1)"),
    "one dimension": (np.ones(3), "t.npz: X must have shape (n, d)"),
}


@pytest.mark.parametrize("X, words", ARRAYS.values(), ids=ARRAYS)
def test_arrays_are_refused_by_name(X, words, tmp_path):
    "The array and what is wrong with it; the same for y."
    np.savez(tmp_path / "t.npz", X=X, y=[1.0, 2.0, 3.0])
    with pytest.raises(ValueError) as caught:
        read_data(tmp_path / "t.npz")
    assert words in str(caught.value)
    if X.ndim == 2 and X.dtype.kind != "f":
        np.savez(tmp_path / "t.npz", X=np.ones((3, 2)), y=X[:, 1])
        with pytest.raises(ValueError, match="y in t.npz"):
            read_data(tmp_path / "t.npz")


def test_objects_and_damaged_archives(tmp_path):
    "Python objects are not loaded; a file cut short or written over is said to be damaged."
    np.savez(tmp_path / "t.npz", X=np.array([[object()]] * 3), y=[1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="t.npz"):
        read_data(tmp_path / "t.npz")
    np.savez_compressed(tmp_path / "t.npz", X=np.random.default_rng(0).standard_normal((300, 2)),
                        y=np.arange(300.0))
    raw = bytearray((tmp_path / "t.npz").read_bytes())
    raw[100:400] = bytes(300)
    for name in ("t.npz", "t.parquet"):
        (tmp_path / name).write_bytes(raw)
        with pytest.raises(ValueError, match=name):
            read_data(tmp_path / name)


def test_booleans_and_small_types_of_arrays(tmp_path):
    "Read as the numbers they are."
    np.savez(tmp_path / "t.npz", X=np.array(XY[0], np.float16), y=np.array([True, False, True]))
    assert same(read_data(tmp_path / "t.npz"), (XY[0], [1, 0, 1]))
