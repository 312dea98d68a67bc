-- Who handles a ticket (T-03) and who is there to do it (T-25): teams, rosters, presence, absence; and what intake notes for
-- the rules to decide by. New columns of tickets have no value where nobody was routed, so what is there stays as it is.

ALTER TABLE ticket
    ADD COLUMN team_id          uuid,
    ADD COLUMN owner            text CHECK (owner <> ''),
    ADD COLUMN distribution     text CHECK (distribution IN ('least_load', 'round_robin')),
    ADD COLUMN amount_cents     bigint CHECK (amount_cents >= 0),
    ADD COLUMN currency         text,
    ADD COLUMN complainant_type text CHECK (complainant_type <> ''),
    ADD CONSTRAINT ticket_owned_in_team CHECK (team_id IS NOT NULL OR (owner IS NULL AND distribution IS NULL)),
    ADD CONSTRAINT ticket_amount_whole CHECK ((amount_cents IS NULL) = (currency IS NULL));
-- What waits for an owner, oldest first; and what an owner has to do. Both hold open tickets only.
CREATE INDEX ticket_unowned_idx ON ticket (team_id, distribution, created_at, id) WHERE team_id IS NOT NULL AND owner IS NULL
    AND state IN ('registered', 'in_progress', 'waiting', 'reopened', 'executive_review');
CREATE INDEX ticket_owned_idx ON ticket (owner, team_id, created_at, id) WHERE owner IS NOT NULL
    AND state IN ('registered', 'in_progress', 'waiting', 'reopened', 'executive_review');

COMMENT ON COLUMN ticket.team_id IS 'The team that handles it (T-03).';
COMMENT ON COLUMN ticket.owner IS 'Who of the team handles it now, or stands in; null while it waits in the team''s queue.';
COMMENT ON COLUMN ticket.distribution IS 'How an owner is found while there is none; null waits for somebody who decides.';

CREATE TABLE team (
    id         uuid        PRIMARY KEY,
    revision   bigint      NOT NULL CHECK (revision > 0),
    org_unit   text COLLATE "C" NOT NULL CHECK (org_unit <> ''),
    code       text COLLATE "C" NOT NULL CHECK (code <> ''),
    title_en   text        NOT NULL,
    title_zh   text        NOT NULL,
    rostered   boolean     NOT NULL,
    retired    boolean     NOT NULL,
    turn       bigint      NOT NULL DEFAULT 0 CHECK (turn >= 0),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT team_code_key UNIQUE (org_unit, code)
);
CREATE INDEX team_code_idx ON team (code, org_unit);
COMMENT ON TABLE team IS 'Some people who handle tickets together, for an org unit and those below (T-03).';
COMMENT ON COLUMN team.turn IS
    'Counts what was distributed. Locked by every distribution in the team, in the order of the ids, so that one comes after '
    'the other.';

CREATE TABLE team_member (
    team_id uuid NOT NULL REFERENCES team,
    staff   text COLLATE "C" NOT NULL CHECK (staff <> '' AND octet_length(staff) <= 120),
    PRIMARY KEY (team_id, staff)
);
CREATE INDEX team_member_staff_idx ON team_member (staff);

CREATE TABLE member_load (
    team_id      uuid    NOT NULL REFERENCES team,
    staff        text COLLATE "C" NOT NULL,
    open_tickets integer NOT NULL DEFAULT 0 CHECK (open_tickets >= 0),
    turn         bigint  NOT NULL DEFAULT 0,
    PRIMARY KEY (team_id, staff)
) WITH (fillfactor = 50);
CREATE INDEX member_load_busy_idx ON member_load (staff) WHERE open_tickets > 0;
COMMENT ON TABLE member_load IS
    'How many open tickets of a team somebody owns: changed in the transaction that changes such a ticket, so it always is '
    'their count. There is a row for all who are members or could stand in for one, before they can get a ticket. Rows are '
    'locked after everything else and in the order of the key.';
COMMENT ON COLUMN member_load.turn IS 'The team''s turn at which he last got one; who has the lowest has waited longest.';

CREATE TABLE roster_shift (
    team_id   uuid        NOT NULL REFERENCES team,
    staff     text COLLATE "C" NOT NULL CHECK (staff <> ''),
    starts_at timestamptz NOT NULL,
    ends_at   timestamptz NOT NULL CHECK (ends_at > starts_at),
    PRIMARY KEY (team_id, starts_at, staff)
);
CREATE INDEX roster_shift_staff_idx ON roster_shift (team_id, staff, ends_at);
COMMENT ON TABLE roster_shift IS 'The roster: who is on duty for a team, and when (T-25).';

CREATE TABLE presence (
    staff      text COLLATE "C" PRIMARY KEY CHECK (staff <> ''),
    revision   bigint      NOT NULL CHECK (revision > 0),
    id         uuid        NOT NULL,
    present    boolean     NOT NULL,
    since      timestamptz NOT NULL,
    until      timestamptz
);
COMMENT ON TABLE presence IS 'Who is there (T-25); who is not named is away.';

CREATE TABLE absence (
    id          uuid        PRIMARY KEY,
    revision    bigint      NOT NULL CHECK (revision > 0),
    staff       text COLLATE "C" NOT NULL CHECK (staff <> ''),
    starts_at   timestamptz NOT NULL,
    ends_at     timestamptz NOT NULL CHECK (ends_at >= starts_at),
    substitute  text COLLATE "C" NOT NULL CHECK (substitute <> staff),
    reason      text        NOT NULL,
    recorded_by text        NOT NULL,
    created_at  timestamptz NOT NULL
);
CREATE INDEX absence_staff_idx ON absence (staff, ends_at);
CREATE INDEX absence_substitute_idx ON absence (substitute);
COMMENT ON TABLE absence IS 'Who will not be there and who stands in (T-25). One that ended before it began never counts.';

CREATE TABLE duty_guard (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row)
);
INSERT INTO duty_guard DEFAULT VALUES;
COMMENT ON TABLE duty_guard IS
    'Locked by whoever changes members or absences, so that no two changes together make a circle of substitutes, or leave '
    'somebody without a row in member_load.';

CREATE TABLE routing_step (
    ticket_id    uuid        NOT NULL,
    position     integer     NOT NULL CHECK (position >= 0),
    customer_id  uuid,
    cause        text        NOT NULL CHECK (cause IN ('intake', 'duty', 'absence', 'left', 'manual')),
    actor        text        NOT NULL,
    looks        jsonb,
    rule         text,
    team_code    text,
    team_id      uuid,
    distribution text,
    candidates   jsonb,
    owner        text,
    reason       text,
    decided_at   timestamptz NOT NULL,
    PRIMARY KEY (ticket_id, position)
);
COMMENT ON TABLE routing_step IS
    'Why a ticket is where it is (T-03): the intake, at position 0, and every assignment, at the ticket''s revision. Added, '
    'never changed.';
COMMENT ON COLUMN routing_step.looks IS '[{"rule": …, "matched": true, "unmet": ["categories", …]}], in order.';
COMMENT ON COLUMN routing_step.candidates IS
    '[{"staff": …, "for": … or null, "open": 3, "turn": 17}], best first, with what each had at that moment.';

-- Who acts for somebody at a time: himself, or whoever stands in at the end of the chain of absences. Circles are refused
-- when an absence is put on record; the depth only bounds what nobody should have written.
CREATE FUNCTION stand_in(who text, moment timestamptz) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    WITH RECURSIVE chain (staff, depth) AS (
        SELECT who COLLATE "C", 0
        UNION ALL
        SELECT absence.substitute, chain.depth + 1
        FROM chain JOIN absence ON absence.staff = chain.staff
        WHERE absence.starts_at <= moment AND absence.ends_at > moment AND chain.depth < 50
    )
    SELECT staff FROM chain ORDER BY depth DESC LIMIT 1
$$;

-- Who could get a ticket of a team at a time: of those on duty each who is not absent, or else whoever stands in, if
-- present. `stands_for` is empty for somebody who is on duty himself.
CREATE FUNCTION on_duty(team uuid, moment timestamptz) RETURNS TABLE (staff text, stands_for text)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT acting.staff, min(CASE WHEN acting.staff = acting.member THEN '' ELSE acting.member END)
    FROM (
        SELECT team_member.staff AS member, stand_in(team_member.staff, moment) AS staff
        FROM team_member JOIN team AS of ON of.id = team_member.team_id
        WHERE of.id = on_duty.team
          AND (NOT of.rostered OR EXISTS (
              SELECT FROM roster_shift
              WHERE roster_shift.team_id = of.id AND roster_shift.staff = team_member.staff
                AND roster_shift.starts_at <= moment AND roster_shift.ends_at > moment))
    ) AS acting
    JOIN presence ON presence.staff = acting.staff
    WHERE presence.present AND (presence.until IS NULL OR presence.until > moment)
    GROUP BY acting.staff
$$;

DO $$
DECLARE
    app text := 'kefu_' || current_schema();
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = app) THEN
        EXECUTE format(
            'REVOKE ALL ON team, team_member, member_load, roster_shift, presence, absence, duty_guard, routing_step FROM %I', app);
        EXECUTE format(
            'GRANT SELECT, INSERT, UPDATE ON team, member_load, presence, absence, duty_guard TO %I', app);
        EXECUTE format('GRANT SELECT, INSERT, DELETE ON team_member, roster_shift TO %I', app);
        EXECUTE format('GRANT SELECT, INSERT ON routing_step TO %I', app);
    END IF;
END
$$;
