"""When a scene was taken, from its tags or its file name. All times are UTC."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

_EARLIEST = datetime(1960, 1, 1, tzinfo=UTC)
_ACQUISITION_TAGS = (
    "ACQUISITION_DATETIME",
    "ACQUISITIONDATETIME",
    "ACQUISITION_DATE_TIME",
    "ACQUISITION_DATE",
    "DATE_ACQUIRED",
    "SENSING_TIME",
    "DATATAKE_1_DATATAKE_SENSING_START",
    "PRODUCT_START_TIME",
    "START_TIME",
    "DATETIME",
    "DATE",
)
_PARTS = ("year", "month", "day", "hour", "minute", "second")
_MOMENT = re.compile(
    r"(?<!\d)(?P<year>\d{4})(?P<sep>[-_:./]?)(?P<month>\d{2})(?P=sep)(?P<day>\d{2})"
    r"(?:[T _]?(?P<hour>\d{2})[:-]?(?P<minute>\d{2})[:-]?(?P<second>\d{2})(?:\.\d+)?"
    r"(?P<zone>Z|[+-]\d{2}:?\d{2})?)?(?!\d)"
)


def parse_moment(text: str) -> datetime | None:
    """Find the first believable date, with its time if there is one, in a text.

    Understands 20181013, 2018-10-13, 2018:10:13 15:59:01, 20181013T155901 and ISO 8601; a time
    without a zone is UTC. Dates before 1960 or in the future are not believed.
    """
    for match in _MOMENT.finditer(text):
        year, month, day, hour, minute, second = (int(match[name] or 0) for name in _PARTS)
        try:
            moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
        except ValueError:
            continue
        zone = match["zone"]
        if zone and zone != "Z":
            shift = timedelta(hours=int(zone[1:3]), minutes=int(zone[-2:]))
            moment += shift if zone[0] == "-" else -shift
        if _EARLIEST <= moment <= datetime.now(UTC) + timedelta(days=1):
            return moment
    return None


def find_acquired(
    tags: Mapping[str, str], imagery_tags: Mapping[str, str], name: str
) -> datetime | None:
    """Find when a scene was taken.

    Tags that speak of acquisition win; then the date in the file name. TIFF's own DateTime tag
    comes last, since writers put there when the file was made; where it falls on the day in the
    file name it gives the time of that day.

    Args:
        tags: The raster's tags.
        imagery_tags: Those of GDAL's IMAGERY domain.
        name: File name.
    """
    upper = {key.upper(): text for key, text in (*tags.items(), *imagery_tags.items())}
    for key in _ACQUISITION_TAGS:
        if (moment := parse_moment(upper.get(key, ""))) is not None:
            return moment
    named = parse_moment(name)
    written = parse_moment(upper.get("TIFFTAG_DATETIME", ""))
    if named is None or (written is not None and written.date() == named.date()):
        return written or named
    return named
