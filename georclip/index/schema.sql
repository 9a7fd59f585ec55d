-- Tables of catalog.sqlite. Read by catalog.py alone.

BEGIN;
CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO meta VALUES ('format', 1), ('generation', 0), ('next_row', 0),
    ('next_segment', 1), ('next_scene', 1);
CREATE TABLE scenes (
    number INTEGER PRIMARY KEY, scene_id TEXT NOT NULL UNIQUE, uri TEXT NOT NULL UNIQUE,
    plan_fingerprint TEXT NOT NULL, chip_count INTEGER NOT NULL, digest TEXT NOT NULL,
    skipped TEXT NOT NULL, indexed_at TEXT NOT NULL, record TEXT NOT NULL,
    seal TEXT NOT NULL
);
CREATE TABLE chips (
    "row" INTEGER PRIMARY KEY, chip_id TEXT NOT NULL UNIQUE,
    scene INTEGER NOT NULL REFERENCES scenes(number),
    col_off INTEGER NOT NULL, row_off INTEGER NOT NULL,
    width INTEGER NOT NULL, height INTEGER NOT NULL,
    gsd_m REAL NOT NULL, scale REAL NOT NULL, valid_fraction REAL NOT NULL,
    footprint BLOB NOT NULL
);
CREATE INDEX chips_by_scene ON chips (scene);
CREATE TABLE segments (
    number INTEGER PRIMARY KEY, first_row INTEGER NOT NULL, row_count INTEGER NOT NULL
);
CREATE TABLE segment_files (
    segment INTEGER NOT NULL REFERENCES segments(number) ON DELETE CASCADE,
    name TEXT NOT NULL, bytes INTEGER NOT NULL, sha256 TEXT NOT NULL,
    PRIMARY KEY (segment, name)
) WITHOUT ROWID;
CREATE TABLE tombstones ("row" INTEGER PRIMARY KEY);
COMMIT;
