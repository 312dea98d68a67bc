-- The clock ledger, whole (T-05 to T-08): rounds, steps of escalation, announced delays, changes of severity, and what is
-- done about a ticket that waits. New columns have defaults that say "none", so what is there stays as it is.

ALTER TABLE ticket_clock
    ADD COLUMN round         smallint NOT NULL DEFAULT 1 CHECK (round > 0),
    ADD COLUMN steps         jsonb,
    ADD COLUMN announcements jsonb,
    ADD COLUMN revisions     jsonb,
    DROP CONSTRAINT ticket_clock_pkey,
    ADD CONSTRAINT ticket_clock_pkey PRIMARY KEY (ticket_id, cycle, rule, round),
    DROP CONSTRAINT ticket_clock_kind_check,
    ADD CONSTRAINT ticket_clock_kind_check CHECK (kind IN (
        'first_response', 'resolution', 'result_feedback', 'call_back', 'progress_update')),
    DROP CONSTRAINT ticket_clock_fires_while_running,
    ADD CONSTRAINT ticket_clock_fires_while_running CHECK (next_fire_at IS NULL OR state IN ('running', 'breached'));

COMMENT ON TABLE ticket_clock IS
    'The ledger of promises (T-05): one row per ticket, rule, cycle and round. What earlier cycles show is never changed. How '
    'long is promised stands in the ticket''s policy version, under the name of the rule.';
COMMENT ON COLUMN ticket_clock.round IS
    'Counts the promises of a rule in a cycle from 1: each progress update starts the next, and so does a change of severity '
    'that comes back to a rule.';
COMMENT ON COLUMN ticket_clock.steps IS
    'The steps of its escalation (T-07): [{"name": …, "at": … or null while it pauses, "taken_at": … or null}], in the order '
    'of the rule; null where it has none.';
COMMENT ON COLUMN ticket_clock.announcements IS
    'Delays announced before the deadline (T-08): [{"at": …, "new_due": …, "reason": …, "by": …}], oldest first; null where '
    'there is none. They move nothing.';
COMMENT ON COLUMN ticket_clock.revisions IS
    'Changes of severity that moved the deadline (T-06): [{"at": …, "by": …, "from": 1, "to": 3, "from_rule": …, '
    '"previous_due": … or null}], oldest first; null where there is none.';
COMMENT ON COLUMN ticket_clock.next_fire_at IS
    'When the timers have to look at it next, for a warning, the breach or a step before or after it; null when there is '
    'nothing to come.';

ALTER TABLE ticket
    ADD COLUMN follow_up    jsonb,
    ADD COLUMN follow_up_at timestamptz,
    ADD CONSTRAINT ticket_follows_up_while_waiting CHECK (
        state = 'waiting' OR (follow_up IS NULL AND follow_up_at IS NULL));
CREATE INDEX ticket_follow_up_idx ON ticket (follow_up_at) WHERE follow_up_at IS NOT NULL;

COMMENT ON COLUMN ticket.follow_up IS
    'While it waits for a reason of the policy (T-06): {"reason": code, "remind_at", "reminded_at", "propose_at", '
    '"proposed_at": … or null}.';
COMMENT ON COLUMN ticket.follow_up_at IS
    'When the timers have to remind the customer or to propose closing; null when there is nothing to come.';

ALTER TABLE escalation
    DROP CONSTRAINT escalation_cause_check,
    ADD CONSTRAINT escalation_cause_check CHECK (cause IN ('breach', 'verdict', 'manager', 'step'));
