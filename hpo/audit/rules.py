"""What a ledger must hold to, each rule as two queries: how many things it is about, and which break it.

Plain SQL that SQLite and PostgreSQL understand. `:search` is the search's number, `:epochs` those of a full
training, `:trials` those that were ordered, `:paid` the epochs of a budget in trainings.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Rule(NamedTuple):
    """A rule; `faults` is a query whose rows are one text each. `settled`: only once a search is finished."""

    name: str
    examined: str
    faults: str
    settled: bool = False


_KINDS: Final = ("attempts", "points", "endings")


def _count(table: str) -> str:
    return f"SELECT count(*) FROM {table} WHERE search_id = :search"  # noqa: S608 - our own words


_RECORDS: Final = " UNION ALL ".join(
    f"SELECT seq FROM {table} WHERE search_id = :search"  # noqa: S608
    for table in ("proposals", *_KINDS, "forecasts")
)
_SEARCHED: Final = "origin NOT IN ('proof', 'confirmation')"
_OF_TRIAL: Final = "search_id = :search AND trial = p.number"
_ORDER: Final = f"""
    SELECT p.number, p.seq AS proposed,
        (SELECT min(seq) FROM attempts WHERE {_OF_TRIAL}) AS attempted,
        (SELECT min(seq) FROM points WHERE {_OF_TRIAL}) AS measured,
        (SELECT max(seq) FROM points WHERE {_OF_TRIAL}) AS measured_last,
        (SELECT min(seq) FROM endings WHERE {_OF_TRIAL}) AS ended
    FROM proposals p WHERE search_id = :search"""  # noqa: S608
_CURVES: Final = """
    SELECT e.trial, e.outcome, e.score, count(p.epoch) AS epochs, max(p.epoch) AS last
    FROM endings e LEFT JOIN points p ON p.search_id = e.search_id AND p.trial = e.trial
    WHERE e.search_id = :search GROUP BY e.trial, e.outcome, e.score"""

_OF_NO_FINISHED: Final = f"""
    SELECT 'trial ' || number FROM proposals r WHERE search_id = :search AND origin = '{{}}'
    AND NOT EXISTS (SELECT 1 FROM proposals p JOIN endings e
        ON e.search_id = p.search_id AND e.trial = p.number AND e.outcome = 'finished'
        WHERE p.search_id = r.search_id AND p.{_SEARCHED} AND p.config = r.config)"""  # noqa: S608

RULES: Final = (
    Rule(
        "records are numbered from 1, without gaps or doubles",
        f"SELECT count(*) FROM ({_RECORDS}) AS records",  # noqa: S608
        f"""SELECT 'record ' || seq || ' follows ' || before FROM (
            SELECT seq, lag(seq, 1, 0) OVER (ORDER BY seq) AS before FROM ({_RECORDS}) AS records
        ) AS pairs WHERE seq <> before + 1""",  # noqa: S608
    ),
    Rule(
        "trials are numbered from 0, without gaps or doubles",
        _count("proposals"),
        """SELECT 'trial ' || number || ' follows ' || before FROM (
            SELECT number, lag(number, 1, -1) OVER (ORDER BY number) AS before
            FROM proposals WHERE search_id = :search
        ) AS pairs WHERE number <> before + 1""",
    ),
    Rule(
        "no more trials than were ordered",
        _count("proposals"),
        f"""SELECT count(*) || ' instead of ' || :trials FROM proposals
        WHERE search_id = :search AND {_SEARCHED} HAVING count(*) > :trials""",  # noqa: S608
    ),
    Rule(
        "no more is trained than the budget pays for",
        _count("points"),
        """SELECT count(*) || ' epochs instead of ' || :paid FROM points
        WHERE search_id = :search HAVING count(*) > :paid""",
    ),
    Rule(
        "every attempt, epoch and ending is that of a proposed trial",
        " + ".join(f"({_count(table)})" for table in _KINDS).join(("SELECT ", "")),
        " UNION ALL ".join(
            f"""SELECT DISTINCT '{table} of trial ' || trial FROM {table} r WHERE search_id = :search AND NOT
            EXISTS (SELECT 1 FROM proposals WHERE search_id = r.search_id AND number = r.trial)"""  # noqa: S608
            for table in _KINDS
        ),
    ),
    Rule(
        "no trial has an epoch without an attempt",
        "SELECT count(DISTINCT trial) FROM points WHERE search_id = :search",
        """SELECT DISTINCT 'trial ' || trial FROM points r WHERE search_id = :search AND NOT
        EXISTS (SELECT 1 FROM attempts WHERE search_id = r.search_id AND trial = r.trial)""",
    ),
    Rule(
        "a trial is proposed, then attempted, then measured, then ended",
        _count("proposals"),
        f"""SELECT 'trial ' || number FROM ({_ORDER}) AS steps
        WHERE attempted < proposed OR measured < attempted OR ended < measured_last
        OR measured < proposed OR ended < attempted OR ended < proposed""",  # noqa: S608
    ),
    Rule(
        "each epoch is counted once, and none is missing",
        _count("points"),
        """SELECT 'trial ' || trial || ': epoch ' || epoch || ' follows ' || before FROM (
            SELECT trial, epoch, lag(epoch, 1, 0) OVER (PARTITION BY trial ORDER BY epoch) AS before
            FROM points WHERE search_id = :search
        ) AS pairs WHERE epoch <> before + 1""",
    ),
    Rule(
        "epochs were measured one after the other",
        _count("points"),
        """SELECT 'trial ' || trial || ': epoch ' || epoch || ' before the one before it' FROM (
            SELECT trial, epoch, seq, lag(seq, 1, 0) OVER (PARTITION BY trial ORDER BY epoch) AS before
            FROM points WHERE search_id = :search
        ) AS pairs WHERE seq < before""",
    ),
    Rule(
        "each trial has ended once",
        _count("proposals"),
        """SELECT 'trial ' || p.number || ': ' || count(e.trial) || ' endings' FROM proposals p
        LEFT JOIN endings e ON e.search_id = p.search_id AND e.trial = p.number
        WHERE p.search_id = :search GROUP BY p.number HAVING count(e.trial) <> 1""",
        settled=True,
    ),
    Rule(
        "a finished trial has all its epochs, any other fewer",
        _count("endings"),
        f"""SELECT 'trial ' || trial || ': ' || outcome || ' after ' || epochs || ' epochs'
        FROM ({_CURVES}) AS curves WHERE (outcome = 'finished') <> (epochs = :epochs)""",  # noqa: S608
    ),
    Rule(
        "outcomes are known ones",
        _count("endings"),
        """SELECT 'trial ' || trial || ': ' || outcome FROM endings WHERE search_id = :search
        AND outcome NOT IN ('finished', 'pruned', 'diverged', 'failed', 'lost', 'refused')""",
    ),
    Rule(
        "a trial's score is that of its last epoch",
        _count("endings"),
        f"""SELECT 'trial ' || c.trial FROM ({_CURVES}) AS c LEFT JOIN points p
        ON p.search_id = :search AND p.trial = c.trial AND p.epoch = c.last
        WHERE p.score IS DISTINCT FROM c.score""",  # noqa: S608
    ),
    Rule(
        "a proof repeats the configuration of a finished trial",
        "SELECT count(*) FROM proposals WHERE search_id = :search AND origin = 'proof'",
        _OF_NO_FINISHED.format("proof"),
    ),
    Rule(
        "a confirmation repeats the configuration of a finished trial",
        "SELECT count(*) FROM proposals WHERE search_id = :search AND origin = 'confirmation'",
        _OF_NO_FINISHED.format("confirmation"),
    ),
    Rule(
        "a configuration is confirmed once with each seed, unless its time was over",
        "SELECT count(*) FROM proposals WHERE search_id = :search AND origin = 'confirmation'",
        """SELECT count(*) || ' times ' || p.notes FROM proposals p
        LEFT JOIN endings e ON e.search_id = p.search_id AND e.trial = p.number
        WHERE p.search_id = :search AND p.origin = 'confirmation'
        AND coalesce(e.reason, '') NOT IN ('timeout', 'budget')
        GROUP BY p.config, p.notes HAVING count(*) > 1""",
    ),
    Rule(
        "confirmations begin when what was searched has ended",
        "SELECT count(*) FROM proposals WHERE search_id = :search AND origin = 'confirmation'",
        f"""SELECT 'trial ' || r.number FROM proposals r WHERE search_id = :search AND origin = 'confirmation'
        AND EXISTS (SELECT 1 FROM proposals p LEFT JOIN endings e
            ON e.search_id = p.search_id AND e.trial = p.number
            WHERE p.search_id = r.search_id AND p.{_SEARCHED} AND p.number < r.number
            AND (e.seq IS NULL OR e.seq > r.seq))""",  # noqa: S608
    ),
    Rule(
        "a search that is finished has a winner",
        "SELECT 1",
        """SELECT 'no trial finished' WHERE NOT EXISTS (
            SELECT 1 FROM endings WHERE search_id = :search AND outcome = 'finished')""",
        settled=True,
    ),
    Rule(
        "sessions begin, end in a known state, and a second finish has more trials",
        _count("sessions"),
        """SELECT 'session ' || id || ': ' || coalesce(state, 'open') FROM sessions s
        WHERE search_id = :search AND (
            (state IS NULL) <> (ended IS NULL)
            OR state NOT IN ('finished', 'interrupted', 'failed')
            OR (state = 'finished'
                AND EXISTS (SELECT 1 FROM sessions WHERE search_id = s.search_id AND id < s.id
                    AND state = 'finished')
                AND NOT EXISTS (SELECT 1 FROM proposals p WHERE search_id = s.search_id
                    AND origin <> 'proof' AND (at >= (
                        SELECT max(ended) FROM sessions WHERE search_id = s.search_id AND id < s.id
                        AND state = 'finished')
                    OR EXISTS (SELECT 1 FROM endings WHERE search_id = s.search_id
                        AND seq < p.seq AND at > p.at)))))""",  # the clock was set back
    ),
)

RANKING: Final = f"""
    SELECT p.number, p.config FROM proposals p
    JOIN endings e ON e.search_id = p.search_id AND e.trial = p.number
    WHERE p.search_id = :search AND e.outcome = 'finished' AND p.{_SEARCHED}
    ORDER BY CASE WHEN abs(e.score) < 1e308 THEN 0 ELSE 1 END, :sign * e.score, p.number"""  # noqa: S608
"""The finished trials, best first; of equal ones the first. `:sign` is 1 to minimize, -1 to maximize."""

CONFIRMED: Final = """
    SELECT p.config, p.notes, e.outcome, e.reason, e.score FROM proposals p
    LEFT JOIN endings e ON e.search_id = p.search_id AND e.trial = p.number
    WHERE p.search_id = :search AND p.origin = 'confirmation' ORDER BY p.number"""
"""What was trained again with fresh seeds, and what came of it."""

STATE: Final = "SELECT state FROM sessions WHERE search_id = :search ORDER BY id DESC LIMIT 1"
"""How the latest session ended; null if it did not."""
