/**
 * The format on disk, version 1. A commit is one row; its records are numbered `first` to `last` inside it.
 *
 * `headers` and `data` are JSON arrays, one item a record; a header leaves out what equals the commit's `session`,
 * `request` and `time`, and a `key` that equals the session. `salts` and `hashes` hold 16 and 32 bytes a record.
 * `link` stands on the last row of each append batch and covers the batch and the link before it.
 */
export const FORMAT = 1
/** 'SPNE': marks the file as ours, so that a stranger's database is never touched. */
export const APPLICATION_ID = 0x53504e45

export const TABLES = ['meta', 'commits', 'mentions', 'trimmed', 'heads', 'keys', 'snapshots'] as const

export const SCHEMA = `
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE commits (
  first   INTEGER PRIMARY KEY,
  last    INTEGER NOT NULL,
  id      TEXT NOT NULL,
  time    INTEGER NOT NULL,
  session TEXT NOT NULL,
  request TEXT NOT NULL,
  headers TEXT NOT NULL,
  data    TEXT NOT NULL,
  salts   BLOB NOT NULL,
  hashes  BLOB NOT NULL,
  link    BLOB
);
CREATE INDEX commits_session ON commits (session);
CREATE INDEX commits_request ON commits (request);
CREATE TABLE mentions (
  kind  TEXT NOT NULL,
  name  TEXT NOT NULL,
  first INTEGER NOT NULL,
  PRIMARY KEY (kind, name, first)
) WITHOUT ROWID;
CREATE TABLE trimmed (first INTEGER PRIMARY KEY, last INTEGER NOT NULL, id TEXT NOT NULL);
CREATE TABLE heads (name TEXT PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE keys (
  scope TEXT NOT NULL,
  name  TEXT NOT NULL,
  print TEXT NOT NULL,
  first INTEGER NOT NULL,
  last  INTEGER NOT NULL,
  PRIMARY KEY (scope, name)
) WITHOUT ROWID;
CREATE TABLE snapshots (name TEXT PRIMARY KEY, at INTEGER NOT NULL, state BLOB) WITHOUT ROWID;
CREATE VIEW records AS
SELECT
  commits.first + header.key                                            AS sequence,
  coalesce(json_extract(header.value, '$.time'), commits.time)          AS time,
  json_extract(header.value, '$.type')                                  AS type,
  coalesce(json_extract(header.value, '$.session'), commits.session)    AS session,
  coalesce(json_extract(header.value, '$.request'), commits.request)    AS request,
  coalesce(json_extract(header.value, '$.key'),
           json_extract(header.value, '$.session'), commits.session)    AS key,
  json_extract(header.value, '$.cause')                                 AS cause,
  json_extract(header.value, '$.hops')                                  AS hops,
  json_extract(header.value, '$.agent')                                 AS agent,
  json_extract(header.value, '$.deadline')                              AS deadline,
  json_extract(header.value, '$.due')                                   AS due,
  coalesce(json_extract(header.value, '$.version'), 1)                  AS version,
  json_extract(commits.data, '$[' || header.key || ']')                 AS data,
  lower(hex(substr(commits.hashes, header.key * 32 + 1, 32)))           AS data_hash
FROM commits, json_each(commits.headers) AS header;
`
