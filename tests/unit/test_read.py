"""Every way in which a source can be bad ends in a sentence that says what, where and what to do."""

import gzip
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from lockgate.data.read import read_source
from lockgate.errors import DataError
from lockgate.project import Data

GOOD = "day,n,text\n2024-01-01,1,a\n2024-01-02,NA,ä\n"


def read(
    source: str | Path, tmp_path: Path, code: dict[str, str] | None = None, **more: object
) -> pl.DataFrame:
    data = Data.model_validate({"source": str(source), "label": "n", **more})
    return pl.concat(read_source(data, code or {}, tmp_path / "scratch"))


def refused(
    source: str | Path, tmp_path: Path, code: dict[str, str] | None = None, **more: object
) -> DataError:
    with pytest.raises(DataError) as caught:
        read(source, tmp_path, code, **more)
    return caught.value


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_reads_csv(tmp_path: Path, ending: str, mark: str) -> None:
    source = write(tmp_path / "a.csv", mark + GOOD.replace("\n", ending))
    frame = read(source, tmp_path, dates=["day"])
    assert frame.schema == {"day": pl.Datetime("us"), "n": pl.Int64, "text": pl.String}
    assert frame.rows()[1][1:] == (None, "ä")


def test_reads_packed_csv_with_semicolons(tmp_path: Path) -> None:
    source = tmp_path / "a.csv.gz"
    source.write_bytes(gzip.compress(b"n;text\n1;x,y\n2;z\n"))
    assert read(source, tmp_path).rows() == [(1, "x,y"), (2, "z")]


def test_reads_a_folder_in_the_order_of_names_with_the_wider_type(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    write(folder / "b.csv", "n\n2.5\n")
    write(folder / "a.csv", "n\n1\n")
    assert read(folder, tmp_path).get_column("n").to_list() == [1.0, 2.5]


def test_quoted_line_breaks_and_separators_are_not_ragged(tmp_path: Path) -> None:
    source = write(tmp_path / "a.csv", 'n,text\n1,"a,\n""b"""\n2,c\n')
    assert read(source, tmp_path).get_column("text").to_list() == ['a,\n"b"', "c"]


def test_canonical_types(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {
            "n": [1.0, float("nan")],
            "zoned": pl.Series(["2024-01-01T00:00:00+02:00"] * 2).str.to_datetime(time_zone="Europe/Berlin"),
            "kind": pl.Series(["a", "b"], dtype=pl.Categorical),
            "price": pl.Series(["1.50", "2.25"]).str.to_decimal(scale=2),
        }
    )
    frame.write_parquet(tmp_path / "a.parquet")
    read_back = read(tmp_path / "a.parquet", tmp_path)
    assert read_back.get_column("n").to_list() == [1.0, None]
    assert str(read_back.get_column("zoned")[0]) == "2023-12-31 22:00:00"
    assert read_back.schema["kind"] == pl.String
    assert read_back.get_column("price").to_list() == [1.5, 2.25]


def test_missing_file(tmp_path: Path) -> None:
    assert "does not exist" in refused(tmp_path / "none.csv", tmp_path).given


def test_folder_without_data(tmp_path: Path) -> None:
    assert "no CSV or Parquet file" in refused(tmp_path, tmp_path).given


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_empty_file(tmp_path: Path, name: str) -> None:
    assert "is empty" in refused(write(tmp_path / name, b""), tmp_path).given


@pytest.mark.parametrize("kept", [0.3, 0.9])
def test_truncated_parquet(tmp_path: Path, kept: float) -> None:
    pl.DataFrame({"n": np.random.default_rng(0).normal(size=1000)}).write_parquet(tmp_path / "a.parquet")
    whole = (tmp_path / "a.parquet").read_bytes()
    error = refused(write(tmp_path / "a.parquet", whole[: int(len(whole) * kept)]), tmp_path)
    assert "cannot be read as Parquet" in error.given
    assert "truncated" in error.allowed


def test_parquet_with_damaged_pages(tmp_path: Path) -> None:
    pl.DataFrame({"n": np.random.default_rng(0).normal(size=1000)}).write_parquet(tmp_path / "a.parquet")
    whole = bytearray((tmp_path / "a.parquet").read_bytes())
    whole[4:2000] = bytes(1996)
    assert "cannot be read as Parquet" in refused(write(tmp_path / "a.parquet", bytes(whole)), tmp_path).given


@pytest.mark.parametrize(("line", "fields"), [("3", 2), ("3,c,4", 4)])
def test_ragged_row_names_its_line(tmp_path: Path, line: str, fields: int) -> None:
    content = 'n,text,m\n1,"a\nb",2\n' + f"2,{line}\n" + "3,c,4\n"
    error = refused(write(tmp_path / "a.csv", content), tmp_path)
    assert f"line 4: {fields} fields, where the header names 3" in error.given


def test_ragged_row_far_into_the_file(tmp_path: Path) -> None:
    lines = ["a,n"] + ["text text text text,1"] * 300_000
    lines[250_000] = "short"
    error = refused(write(tmp_path / "a.csv", "\n".join(lines)), tmp_path)
    assert "line 250001: 1 fields" in error.given


@pytest.mark.parametrize("before", [0, 4_194_300])
def test_wrong_encoding_names_the_byte(tmp_path: Path, before: int) -> None:
    content = b"n,text\n" + b"1,a\n" * (before // 4) + "2,Z\u00fcrich\n".encode("latin1")
    error = refused(write(tmp_path / "a.csv", content), tmp_path)
    assert "not UTF-8: byte 0xfc" in error.given
    assert f"position {content.index(0xFC):,}" in error.given


def test_letters_of_many_bytes_across_the_pieces_of_a_file(tmp_path: Path) -> None:
    from lockgate.data.csvfile import CHUNK

    head = b"n,text\n"
    source = write(tmp_path / "a.csv", head + b"1," + b"x" * (CHUNK - len(head) - 3) + "ü€\n2,b\n".encode())
    assert read(source, tmp_path).get_column("text").to_list()[0].endswith("xü€")


@pytest.mark.parametrize("header", ["n,a,a\n1,2,3\n", "n,,a\n1,2,3\n"])
def test_duplicate_and_nameless_columns_in_csv(tmp_path: Path, header: str) -> None:
    assert "column" in refused(write(tmp_path / "a.csv", header), tmp_path).given


def test_duplicate_columns_in_parquet(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table([pa.array([1]), pa.array([2])], names=["n", "n"]), tmp_path / "a.parquet")
    assert "2 columns named 'n'" in refused(tmp_path / "a.parquet", tmp_path).given


def test_files_with_different_columns(tmp_path: Path) -> None:
    pl.DataFrame({"n": [1], "a": [1]}).write_parquet(tmp_path / "a.parquet")
    pl.DataFrame({"n": [1]}).write_parquet(tmp_path / "b.parquet")
    assert "has a column 'a'" in refused(tmp_path, tmp_path).given


def test_files_with_different_types(tmp_path: Path) -> None:
    pl.DataFrame({"n": [1]}).write_parquet(tmp_path / "a.parquet")
    pl.DataFrame({"n": ["x"]}).write_parquet(tmp_path / "b.parquet")
    assert "holds Int64" in refused(tmp_path, tmp_path).given


def test_date_that_cannot_be_parsed_names_value_and_row(tmp_path: Path) -> None:
    error = refused(write(tmp_path / "a.csv", "day,n\n2024-01-01,1\n31.12.24,2\n"), tmp_path, dates=["day"])
    assert "row 2" in error.given
    assert "'31.12.24' is not a date" in error.given


@pytest.mark.parametrize(
    "text", ["2024-02-29", "2024-02-29 05:15", "2024-02-29T05:15:00Z", "2024-02-29 05:15:00+01:00"]
)
def test_dates_as_people_write_them(tmp_path: Path, text: str) -> None:
    frame = read(write(tmp_path / "a.csv", f"day,n\n{text},1\n"), tmp_path, dates=["day"])
    assert frame.get_column("day")[0].isoformat().startswith("2024-02-29")


def test_lists_are_no_columns(tmp_path: Path) -> None:
    pl.DataFrame({"n": [[1, 2]]}).write_parquet(tmp_path / "a.parquet")
    assert "holds List(Int64)" in refused(tmp_path / "a.parquet", tmp_path).given


FUNCTIONS = """
import polars as pl
def frame(): return pl.DataFrame({"n": [1, 2]})
def lazy(): return frame().lazy()
def pieces():
    yield frame()
    yield pl.DataFrame({"n": [2.0]})
def pandas(): return frame().to_pandas()
def arrow(): return frame().to_arrow()
def fails(): return 1 / 0
def late():
    yield frame()
    raise ValueError("no more")
def number(): return 7
def other():
    yield frame()
    yield pl.DataFrame({"m": [1]})
"""


@pytest.mark.parametrize("name", ["frame", "lazy", "pieces", "pandas", "arrow"])
def test_functions_may_return_any_table(tmp_path: Path, name: str) -> None:
    frame = read(f"my.py:{name}", tmp_path, {"my.py": FUNCTIONS})
    assert frame.schema == {"n": pl.Int64}
    assert frame.get_column("n").to_list()[:2] == [1, 2]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("absent", "no function 'absent'"),
        ("fails", "ZeroDivisionError"),
        ("late", "ValueError: no more"),
        ("number", "returned int"),
        ("other", "have a column 'n'"),
    ],
)
def test_functions_that_do_not_work(tmp_path: Path, name: str, said: str) -> None:
    assert said in refused(f"my.py:{name}", tmp_path, {"my.py": FUNCTIONS}).given


def test_traceback_shows_the_users_line_and_not_ours(tmp_path: Path) -> None:
    given = refused("my.py:fails", tmp_path, {"my.py": FUNCTIONS}).given
    assert "return 1 / 0" in given
    assert "userfunction" not in given
