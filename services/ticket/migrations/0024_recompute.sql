-- Promises that were made anew by another policy version than the one that judges their ticket (T-05, T-06, T-11), and the
-- rollouts of versions over the tickets that are open when they come into force. New columns are null for what is there, which
-- says "by the version that judges the ticket": registrations write nothing here.

ALTER TABLE ticket ADD COLUMN promise_version_id uuid;
COMMENT ON COLUMN ticket.promise_version_id IS
    'The policy version by which it gets new promises; null for policy_version_id, which judges everything else for ever.';

ALTER TABLE ticket_clock
    ADD COLUMN policy_version_id uuid,
    ADD COLUMN eras jsonb;
COMMENT ON COLUMN ticket_clock.policy_version_id IS
    'The policy version whose rule promises it and on whose calendar it counts; null for the ticket''s policy_version_id. '
    'Versions never change, so this pins the calendar as well.';
COMMENT ON COLUMN ticket_clock.eras IS
    'The earlier stretches of its time that count on other calendars: [{"version": … or null for the ticket''s, "until": …}], in '
    'order; null where there are none.';

-- Two versions may give one name to promises of different kinds; a rule is its name and its kind.
DROP INDEX ticket_clock_live_key;
CREATE UNIQUE INDEX ticket_clock_live_key ON ticket_clock (ticket_id, rule, kind) WHERE state IN ('running', 'paused');

CREATE TABLE policy_rollout (
    version_id     uuid        PRIMARY KEY,
    org_unit       text COLLATE "C" NOT NULL CHECK (org_unit <> ''),
    effective_at   timestamptz NOT NULL,
    sweep          smallint    NOT NULL DEFAULT 1 CHECK (sweep IN (1, 2)),
    due_at         timestamptz,
    after_unit     text COLLATE "C",
    after_created  timestamptz,
    after_id       uuid,
    seen           bigint      NOT NULL DEFAULT 0 CHECK (seen >= 0),
    recomputed     bigint      NOT NULL DEFAULT 0 CHECK (recomputed >= 0),
    overdue        bigint      NOT NULL DEFAULT 0 CHECK (overdue >= 0),
    failed         uuid[]      NOT NULL DEFAULT '{}',
    started_at     timestamptz,
    finished_at    timestamptz,
    CONSTRAINT policy_rollout_place_whole CHECK (num_nulls(after_unit, after_created, after_id) IN (0, 3)),
    CONSTRAINT policy_rollout_ends CHECK ((due_at IS NULL) = (finished_at IS NOT NULL))
);
CREATE INDEX policy_rollout_due_idx ON policy_rollout (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX policy_rollout_org_unit_idx ON policy_rollout (org_unit, effective_at, version_id);

COMMENT ON TABLE policy_rollout IS
    'Policy versions that compute the promises of open tickets anew when they come into force (T-05). One row per version, made '
    'with it; locked by whoever works on it, so that of any number of replicas one does.';
COMMENT ON COLUMN policy_rollout.sweep IS
    'All open tickets are looked at twice: at once, and again a minute later for registrations that were under way.';
COMMENT ON COLUMN policy_rollout.due_at IS 'When a worker goes on with it; null once it is finished.';
COMMENT ON COLUMN policy_rollout.after_unit IS
    'How far this sweep has come, in the order of ticket_org_unit_idx; with after_created and after_id. Null at its beginning.';
COMMENT ON COLUMN policy_rollout.seen IS 'Open tickets that the first sweep looked at.';
COMMENT ON COLUMN policy_rollout.overdue IS 'Tickets of which that made a promise overdue at once.';
COMMENT ON COLUMN policy_rollout.failed IS 'The first hundred tickets whose promises could not be computed; they keep their old ones.';

DO $$
DECLARE
    app text := 'kefu_' || current_schema();
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = app) THEN
        EXECUTE format('REVOKE ALL ON policy_rollout FROM %I', app);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE ON policy_rollout TO %I', app);
    END IF;
END
$$;
