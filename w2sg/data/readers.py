"""Readers of corpus files: each turns one package file into documents (doc_id, part, label, text).

A further corpus is an entry of ``corpora`` in the configuration and one reader function listed in
``READERS``. ``part`` is train or pair_texts where the corpus has its own split, and empty where it has none.
"""

from __future__ import annotations

import csv
import email.errors
import io
import re
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from email.header import decode_header, make_header
from email.message import Message
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd

from w2sg.data.rows import long_fields
from w2sg.runtime.files import sha256
from w2sg.study.texts.corpora import Members

_HEADER_LINES = 3

_LETTERS = re.compile(r"[a-z]+")
_MAIL = re.compile(r"package/data/(?P<group>[a-z]+(-[a-z]+)?-\d)/(?P<number>\d+)\.[0-9a-f]+\.txt")
_MAILS = 6046
_FOOTER = re.compile(r"\s*(_{20,}|-{20,}|-- ?)\s*")

_FOOTER_LINES = 15
"""A footer's mark is looked for in the last so many lines; rules further up divide a text's sections."""

Record = tuple[str, str, str, str]
"""doc_id, part, label, text."""


def read_newsgroups(package: Path, members: Members | None) -> Iterator[Record]:
    """Yields the posts of 20 Newsgroups, split by date, from two members of a wheel.

    Each member is a tab-separated table with csv quoting and three header lines (names, types, roles).

    Raises:
        ValueError: If a member is absent, has another checksum, or holds a row that is not (label, text).
    """
    assert members is not None, "the corpus's entry was not checked"
    with zipfile.ZipFile(package) as archive:
        for part, member in (("train", members.train), ("pair_texts", members.pair_texts)):
            try:
                content = archive.read(member.name)
            except KeyError:
                raise ValueError(f"members.{part}: {package} has no member {member.name}") from None
            check_sha256(content, member.sha256, f"{package}: member {member.name}")
            for number, (label, text) in enumerate(_newsgroups_rows(content, f"{package}: {member.name}")):
                yield f"{part}-{number:05d}", part, label, text


def _newsgroups_rows(content: bytes, place: str) -> Iterator[tuple[str, str]]:
    with long_fields():
        rows = csv.reader(io.StringIO(content.decode("utf-8"), newline=""), delimiter="\t")
        # The third header line may be followed by an empty one, which csv gives as an empty row.
        for number, row in enumerate(rows, start=1):
            if number <= _HEADER_LINES or not row:
                continue
            if len(row) != 2 or not all(map(str.strip, row)):
                raise ValueError(f"{place}, row {number}: got {len(row)} fields, expected a label and a text")
            yield row[0], " ".join(row[1].split())


def read_spam_assassin(package: Path, members: Members | None) -> Iterator[Record]:
    """Yields the mails of the SpamAssassin public corpus from an npm archive (.tgz), labelled spam or ham.

    Text is subject and body, lower-case letters only, like the posts of ``read_newsgroups``: without headers,
    attachments, markup, and the signature or mailing-list footer, which would give the label away. There are no
    ``members``: the archive's checksum covers all its files.

    Raises:
        ValueError: If the archive does not hold all mails.
    """
    del members
    count = 0
    with tarfile.open(package, "r:gz") as archive:
        for entry in archive:
            match = _MAIL.fullmatch(entry.name)
            file = archive.extractfile(entry) if match else None
            if match is None or file is None:
                continue
            count += 1
            text = mail_text(file.read())
            if text:
                label = "spam" if match["group"].startswith("spam") else "ham"
                yield f"{match['group']}-{match['number']}", "", label, text
    if count != _MAILS:
        raise ValueError(f"{package}: holds {count} mails, expected {_MAILS}; get the archive again")


def mail_text(raw: bytes) -> str:
    """Returns subject and body of a mail, given as sent, as lower-case words of letters a to z, single spaces between.

    Plain text parts are taken; HTML parts, without markup, where no plain text has a letter. Quoted lines
    stay; what follows a signature's or mailing list's separator near the end goes.
    """
    mail = email.message_from_bytes(raw)
    leaves = [part for part in mail.walk() if not part.is_multipart()]
    body = "\n".join(_payload(part) for part in leaves if part.get_content_type() == "text/plain")
    if not _LETTERS.search(body.lower()):
        pages = [_payload(part) for part in leaves if part.get_content_type() == "text/html"]
        body = "\n".join(map(strip_markup, pages))
    return " ".join(_LETTERS.findall(f"{_subject(mail)}\n{_without_footer(body)}".lower()))


def _subject(mail: Message) -> str:
    subject = mail.get("subject") or ""
    try:
        return str(make_header(decode_header(str(subject))))
    except (LookupError, UnicodeError, email.errors.HeaderParseError):
        return str(subject)


def _payload(part: Message) -> str:
    content = part.get_payload(decode=True)
    raw = content if isinstance(content, bytes) else b""
    try:
        return raw.decode(part.get_content_charset() or "latin-1", errors="replace")
    except LookupError:  # spam names character sets that do not exist
        return raw.decode("latin-1")


def _without_footer(body: str) -> str:
    lines = [line for line in body.splitlines() if line.strip()]
    for number in range(max(0, len(lines) - _FOOTER_LINES), len(lines)):
        if _FOOTER.fullmatch(lines[number]):
            return "\n".join(lines[:number])
    return body


class _Stripper(HTMLParser):
    """Collects the visible text of a page; tags become spaces."""

    hidden = ("script", "style")

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.text: list[str] = []
        self._depth = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._depth += tag in self.hidden
        self.text.append(" ")

    def handle_endtag(self, tag: str) -> None:
        self._depth = max(0, self._depth - (tag in self.hidden))
        self.text.append(" ")

    def handle_data(self, data: str) -> None:
        if not self._depth:
            self.text.append(data)


def strip_markup(page: str) -> str:
    """Returns the visible text of an HTML page, tags replaced by spaces."""
    stripper = _Stripper()
    stripper.feed(page)
    stripper.close()
    return "".join(stripper.text)


def check_sha256(content: bytes, expected: str, place: str) -> None:
    """Raises ValueError naming ``place`` and both checksums if the content has another one than expected."""
    found = sha256(content)
    if found != expected:
        raise ValueError(
            f"{place}: sha256 is {found}, expected {expected}; the file is damaged or another version: "
            "delete it and fetch it again, or correct the checksum in corpora"
        )


READERS: dict[str, Callable[[Path, Members | None], Iterator[Record]]] = {
    "newsgroups": read_newsgroups,
    "spam_assassin": read_spam_assassin,
}


def read_documents(reader: str, package: Path, members: Members | None) -> pd.DataFrame:
    """Returns the documents of a verified package file: doc_id, part, label, text, in the file's order."""
    return pd.DataFrame(list(READERS[reader](package, members)), columns=["doc_id", "part", "label", "text"])
