"""Every kind of fault a text table can have, in every data set that reads one: the rows are read as
they are meant, or one short line names what is wrong, and checking and loading say the same."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from own_data import OWN

from bench.errors import UsageError, blank
from tasks.base import datasets
from tasks.data.lines import LONGEST_WORD
from tasks.data.problems import Problem, collect
from tasks.data.readers import read_rows
from tasks.plan import dataset_options

#: By task: the option that names the main file, its columns, and the one that holds text.
TABLES = {
    "captioning": ("captions", ("image", "caption"), "caption"),
    "entailment": ("train_file", ("premise", "hypothesis", "label"), "premise"),
    "speech": ("manifest", ("path", "transcript", "split"), "transcript"),
    "summarization": ("train_file", ("document", "summary"), "document"),
}
FORMS = [
    *((task, form) for task in list(TABLES)[:3] for form in ("tsv", "csv", "jsonl")),
    ("summarization", "jsonl"),
    ("translation", "lines"),
]
MARKS = {"tsv": "\t", "csv": ","}


@dataclass
class Table:
    """A good data set whose main file has a form.

    Attributes:
        path: the main file.
        text: the column of texts.
    """

    task: str
    form: str
    root: Path
    path: Path
    options: dict[str, str]
    text: str = ""

    @property
    def rows(self) -> list[list[str]]:
        """The fields of every row, those of a header first; one text a line for "lines"."""
        lines = self.path.read_text("utf-8").splitlines()
        if self.form == "jsonl":
            return [list(json.loads(line)) for line in lines[:1]] + [
                list(json.loads(line).values()) for line in lines
            ]
        return [line.split(MARKS.get(self.form, "\n")) for line in lines]

    @property
    def first(self) -> int:
        """The number of the line that holds the first example."""
        return 2 if self.form in MARKS else 1

    def line(self, edit: Callable[[str], str], number: int = 3) -> None:
        """Change one line of the file."""
        lines = self.path.read_text("utf-8").split("\n")
        lines[number - 1] = edit(lines[number - 1])
        self.path.write_text("\n".join(lines), "utf-8")

    def value(self, text: str) -> None:
        """Put a text in place of the one in line 3."""
        whole = self.rows[3 - self.first + (self.form != "lines")]
        old = whole[0] if self.form == "lines" else whole[self.rows[0].index(self.text)]
        new = json.dumps(text)[1:-1] if self.form == "jsonl" else text
        self.line(lambda line: line.replace(old, new))

    def every(self, edit: Callable[[str], str]) -> None:
        text = self.path.read_text("utf-8")
        self.path.write_text("".join(map(edit, text.splitlines(keepends=True))), "utf-8")

    def problems(self) -> list[str]:
        """What checking says; loading says the first of it."""
        kind = datasets(self.task).get(OWN[self.task].dataset)
        options = dataset_options(kind, self.options)
        found = kind.check(options, self.root)
        if found:
            with pytest.raises(UsageError) as caught:
                kind.load(options, self.root)
            what = found[0].split(": ", 1)[1]
            assert what in str(caught.value) and found[0].split(": ")[0] in str(caught.value)
        for message in found:
            assert len(message) < 700 and message.isprintable(), message
        return found

    def fingerprint(self) -> str:
        kind = datasets(self.task).get(OWN[self.task].dataset)
        found = kind.load(dataset_options(kind, self.options), self.root).fingerprint
        assert isinstance(found, str)
        return found


def table(task: str, form: str, root: Path) -> Table:
    """A good data set of a user's own, its main file in that form."""
    OWN[task].write(root)
    main = root / OWN[task].main
    options = dict(option.split("=") for option in OWN[task].options)
    if form == "lines":
        return Table(task, form, root, main, options)
    option, columns, text = TABLES[task]
    path = root / f"main.{form}"
    if main.suffix == ".tsv":
        records = list(csv.DictReader(main.open(), delimiter="\t"))
        assert set(records[0]) == set(columns)
        if form == "jsonl":
            path.write_text("".join(json.dumps(record) + "\n" for record in records))
        else:
            lines = [columns, *(list(record.values()) for record in records)]
            path.write_text("".join(MARKS[form].join(line) + "\n" for line in lines))
        main.unlink()
    else:
        main.rename(path)
    return Table(task, form, root, path, {**options, option: path.name}, text)


def spoiled(write: Callable[[bytes], bytes]) -> Callable[[Table], object]:
    return lambda table: table.path.write_bytes(write(table.path.read_bytes()))


def renamed(table: Table, ending: str) -> None:
    [option] = [key for key, value in table.options.items() if value == table.path.name]
    path = table.path.rename(table.path.with_suffix(ending))
    table.path, table.options[option] = path, path.name


def rewritten(table: Table, mark: str, quoting: int) -> None:
    sink = io.StringIO()
    csv.writer(sink, delimiter=mark, quoting=quoting, lineterminator="\n").writerows(table.rows)  # type: ignore[arg-type]
    table.path.write_text(sink.getvalue())


ANY, TABULAR, JSON = ("tsv", "csv", "jsonl", "lines"), ("tsv", "csv"), ("jsonl",)

#: Read as it is meant: in which forms, and the change.
MEANT: dict[str, tuple[tuple[str, ...], Callable[[Table], object]]] = {
    "crlf": (ANY, spoiled(lambda data: data.replace(b"\n", b"\r\n"))),
    "cr": (ANY, spoiled(lambda data: data.replace(b"\n", b"\r"))),
    "byte-order-mark": (ANY, spoiled(lambda data: b"\xef\xbb\xbf" + data)),
    "marks-inside": (ANY, lambda table: table.line(lambda line: f"\ufeff{line}")),
    "blanks-in-header": (TABULAR, lambda table: table.line(
        lambda line: re.sub(r"(\w+)", r" \1 ", line), 1)),
    "mark-at-every-end": (TABULAR, lambda table: table.every(
        lambda line: line.replace("\n", MARKS[table.form] + "\n"))),
    "mark-at-the-ends-of-rows": (TABULAR, lambda table: table.every(
        lambda line: re.sub(r"(\d.*)\n", rf"\1{MARKS[table.form]}\n", line))),
    "quoted": (TABULAR, lambda table: rewritten(table, MARKS[table.form], csv.QUOTE_ALL)),
    "semicolons": (TABULAR, lambda table: rewritten(table, ";", csv.QUOTE_MINIMAL)),
    "the-other-ending": (TABULAR, lambda table: renamed(
        table, {"tsv": ".csv", "csv": ".tsv"}[table.form])),
    "long-numbers": (JSON, lambda table: table.line(
        lambda line: line.replace("{", '{"more": ' + "1" * 5000 + ", ", 1))),
}  # fmt: skip


def fifo(table: Table) -> None:
    table.path.unlink()
    os.mkfifo(table.path)


def folder(table: Table) -> None:
    table.path.unlink()
    table.path.mkdir()


def packed(table: Table) -> None:
    table.path.with_name(f"{table.path.name}.gz").write_bytes(gzip.compress(b"x"))
    table.path.unlink()


def accented(table: Table) -> None:
    if table.form != "lines":
        renamed(table, ".x")
        [option] = [key for key, value in table.options.items() if value == table.path.name]
        table.options[option] = "caf\u00e9.x"
        table.path.rename(table.root / "cafe\u0301.x")
    else:
        for split in ("train", "valid", "test"):
            (table.root / f"{split}.de").rename(table.root / f"{split}.cafe\u0301")
        table.options["source"] = "caf\u00e9"


#: Refused: in which forms, the change, and what is said once.
REFUSED: dict[str, tuple[tuple[str, ...], Callable[[Table], object], str]] = {
    "nul": (ANY, lambda table: table.line(lambda line: line[:3] + "\0" + line[3:]), ":3: .*NUL"),
    "mixed-ends": (ANY, spoiled(lambda data: data.replace(b"\n", b"\r", 3)), ":1: .*CR"),
    "not-utf-8": (ANY, spoiled(lambda data: data.replace(b"a", b"\xfc", 99)), ": not UTF-8"),
    "utf-16": (ANY, spoiled(lambda data: data.decode().encode("utf-16")), "UTF-16; convert"),
    "utf-16-unmarked": (ANY, spoiled(lambda data: data.decode().encode("utf-16-le")), "UTF-16"),
    "gzip": (ANY, spoiled(gzip.compress), "compressed by gzip; unpack it"),
    "gzip-beside": (ANY, packed, r"no such file.*\.gz is there; unpack it"),
    "accents": (ANY, accented, r"no such file.*accents otherwise \(NFD\)"),
    "pipe": (ANY, fifo, "is a named pipe"),
    "folder": (ANY, folder, "is a folder"),
    "empty": (ANY, spoiled(lambda data: b""), "the file is empty"),
    "long-word": (ANY, lambda table: table.value("x" * 100_000), ":3: .*a word of 100,000"),
    "invisible": (ANY, lambda table: table.value("\u200b\u2060 \u00a0\u202e"),
                  ":3: .*(empty|blank|no words)|left out"),
    "surrogate": (JSON, lambda table: table.value("a \ud83d"), ":3: .*U.D83D"),
    "nul-escaped": (JSON, lambda table: table.value("a \0"), ":3: .*NUL"),
    "nan": (JSON, lambda table: table.line(lambda line: re.sub(r'": "[^"]*"', '": NaN', line)),
            ":3: not JSON .NaN"),
    "key-twice": (JSON, lambda table: table.line(lambda line: line[:-1] + ', "a": 1, "a": 2}'),
                  ":3: not JSON .key 'a' stands twice"),
    "nested": (JSON, lambda table: table.line(
        lambda line: line.replace("{", '{"a": ' + "[" * 100_000 + ", ", 1)), ":3: not JSON"),
    "document": (JSON, lambda table: table.line(lambda line: f"[{line}", 1),
                 ":1: one JSON document, not JSON lines"),
    "column-twice": (TABULAR, lambda table: table.every(
        lambda line: line[:-1] + MARKS[table.form] + line.split(MARKS[table.form])[0] + "\n"),
        ":1: two columns are called"),
    "wrong-column": (("tsv", "csv", "jsonl"), lambda table: table.every(
        lambda line: line.replace(table.text, table.text.title())),
        ":1: no column '.*did you mean"),
    "fields-missing": (TABULAR, lambda table: table.line(
        lambda line: line.rsplit(MARKS[table.form], 1)[0]), r":3: \d fields where the header has"),
    "comment": (TABULAR, lambda table: table.line(lambda line: f"# made by hand\n{line}"),
                ":3: 1 fields where the header has"),
    "open-quote": (("csv",), lambda table: table.value('"stop'), ":3: a quotation mark is opened"),
    "early-quote": (("csv",), lambda table: table.value('"stop" sign'),
                    ":3: a quotation mark closes"),
    "long-field": (("csv",), lambda table: table.value("a " * 100_000), ":3: a field of more"),
}  # fmt: skip


@pytest.mark.parametrize(("task", "form"), FORMS)
@pytest.mark.parametrize("change", MEANT)
def test_read_as_meant(task: str, form: str, change: str, tmp_path: Path) -> None:
    forms, apply = MEANT[change]
    if form not in forms:
        return
    given = table(task, form, tmp_path)
    before = given.fingerprint()
    apply(given)
    assert given.problems() == []
    assert given.fingerprint() == before


@pytest.mark.parametrize(("task", "form"), [form for form in FORMS if form[1] != "lines"])
@pytest.mark.parametrize("lines", [300, 299])
def test_a_wrong_column_name_is_one_problem(
    task: str, form: str, lines: int, tmp_path: Path
) -> None:
    """In every line, or (JSON lines have no header) in all but the first."""
    if lines == 299 and form != "jsonl":
        return
    given = table(task, form, tmp_path)
    header, *rows = given.path.read_text("utf-8").splitlines(keepends=True)
    if form == "jsonl":
        rows = [header, *rows]
    many = [rows[number % len(rows)] for number in range(300)]
    kept = many[: 300 - lines]
    changed = [line.replace(f'"{given.text}"', '"other"') for line in many[300 - lines :]]
    top = [header.replace(given.text, "other")] if form != "jsonl" else []
    given.path.write_text("".join([*top, *kept, *changed]), "utf-8")
    [found] = [problem for problem in given.problems() if "no column" in problem]
    assert f"no column '{given.text}'" in found
    assert ("nor in 298 further lines" in found) == (lines == 299)


@pytest.mark.parametrize(("task", "form"), FORMS)
@pytest.mark.parametrize("change", REFUSED)
def test_refused_in_one_line(task: str, form: str, change: str, tmp_path: Path) -> None:
    forms, apply, said = REFUSED[change]
    if form not in forms:
        return
    given = table(task, form, tmp_path)
    apply(given)
    if (task, change) == ("summarization", "invisible"):  # counted in a note, as empty ones are
        assert given.problems() == []
        return
    found = given.problems()
    assert re.search(said, found[0]), found
    if change == "not-utf-8" or (task, change) == ("translation", "accents"):
        return  # a problem of every line, of every file
    assert len(found) == 1, found


@pytest.mark.parametrize(
    ("task", "form"), [one for one in FORMS if one[0] in ("captioning", "speech")]
)
def test_misspelt_splits(task: str, form: str, tmp_path: Path) -> None:
    given = table(task, form, tmp_path)
    assert given.fingerprint()
    column = {"tsv": "\tsplit", "csv": ",split"}.get(form, "")
    if task == "captioning":  # has none so far
        names = ["trian", "val", "test", *["train"] * 40]
        lines = given.path.read_text().splitlines()
        if form == "jsonl":
            lines = [
                f'{line[:-1]}, "split": "{names[number // 2]}"}}'
                for number, line in enumerate(lines)
            ]
        else:
            mark = MARKS[form]
            lines = [lines[0] + column] + [
                line + mark + names[number // 2] for number, line in enumerate(lines[1:])
            ]
        given.path.write_text("\n".join(lines))
    else:
        given.line(lambda line: line.replace("train", "trian"), 2)
    found = given.problems()
    assert len(found) == 1 and "unknown split 'trian'; did you mean 'train'?" in found[0]


# Quotation marks in tab-separated files.


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ('"a ""big"" dog"\t"an animal, moves"', ['a "big" dog', "an animal, moves"]),
        ('"a\ttab"\tb', ["a\ttab", "b"]),
        ('"Hello", he said\tb', ['"Hello", he said', "b"]),
        ('"Hello."\t"What?"', ['"Hello."', '"What?"']),
        ('5" wide\t"', ['5" wide', '"']),
    ],
)
def test_marks_quote_where_a_spreadsheet_wrote_the_file(
    line: str, fields: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "a.tsv"
    path.write_text(f"x\ty\n{line}\n")
    [row] = read_rows(path)
    assert list(row.values.values()) == fields


# What is written is read back, or refused by its line.

TEXTS = st.text(st.characters(exclude_categories=()), max_size=12)
RECORDS = st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=5)
QUOTING = st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL])


def read_back(path: Path, records: list[tuple[str, str]]) -> None:
    """Every record is read exactly, or the file or a line of it is refused."""
    problems: list[Problem] = []
    try:
        rows = [(row.written("x"), row.written("y")) for row in read_rows(path, collect(problems))]
    except UsageError as error:
        assert str(path) in str(error)
        return
    clean = [tuple(text.replace("\ufeff", "") for text in record) for record in records]
    if not problems:
        wanted = [one for one in clean if not all(map(blank, one))]
        assert [one for one in rows if not all(map(blank, one))] == wanted


@given(records=RECORDS, quoting=QUOTING)
@settings(max_examples=300, deadline=None)
def test_tables_come_back(
    tmp_path_factory: pytest.TempPathFactory, records: list[tuple[str, str]], quoting: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "written.csv"
    with path.open("w", newline="", encoding="utf-8", errors="surrogatepass") as file:
        csv.writer(file, quoting=quoting).writerows([("x", "y"), *records])  # type: ignore[arg-type]
    read_back(path, records)


@given(records=RECORDS, ascii_only=st.booleans())
@settings(max_examples=300, deadline=None)
def test_json_lines_come_back(
    tmp_path_factory: pytest.TempPathFactory, records: list[tuple[str, str]], ascii_only: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "written.jsonl"
    with path.open("w", newline="", encoding="utf-8", errors="surrogatepass") as file:
        for x, y in records:
            file.write(json.dumps({"x": x, "y": y}, ensure_ascii=ascii_only) + "\n")
    read_back(path, records)


def test_a_cell_may_go_on_in_further_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('x,y\n1,"two\n\nlines"\n2,"open\n3,5"\n4,c\n')
    problems: list[Problem] = []
    rows = [(row.line, *row.values.values()) for row in read_rows(path, collect(problems))]
    assert rows == [(2, "1", "two\n\nlines"), (6, "3", '5"'), (7, "4", "c")]
    assert [problem.where for problem in problems] == [f"{path}:5"]


def test_a_word_may_be_long(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text(f"x\n{'a' * LONGEST_WORD}\n{'a, ' * LONGEST_WORD}\n")
    assert len([row.text("x") for row in read_rows(path)]) == 2


def test_numbers_are_read_as_written(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"x": 1.50}\n{"x": 1e999}\n{"x": 007}\n')
    problems: list[Problem] = []
    assert [row.text("x") for row in read_rows(path, collect(problems))] == ["1.50", "1e999"]
    assert len(problems) == 1
